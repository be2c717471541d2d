use super::toy::*;
use crate::supervision::*;
use fleet_contracts::commands::{ActorKind, ActorState};
use std::sync::mpsc;
use std::time::Duration;
use tokio::task::block_in_place;

async fn two() -> (Tree, Toys) {
    let (log, at) = (Log::default(), Toys::new());
    let mut inner = spec(Strategy::RestForOne, PATIENT, Ending::Escalate, vec![]);
    inner.name = "inner";
    inner.children = vec![toy("a", &log, &Toys::new())];
    let children = vec![supervisor(inner), toy("a", &log, &at), toy("b", &log, &Toys::new())];
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    (tree, at)
}

#[tokio::test(start_paused = true)]
async fn supervisors_show_strategy_and_budget() {
    let (tree, _) = two().await;
    let (root, inner) = (tree.actor("t"), tree.actor("t/inner"));
    assert_eq!((root.strategy.as_deref(), root.parent), (Some("one_for_one"), None));
    assert_eq!((inner.strategy.as_deref(), inner.kind), (Some("rest_for_one"), ActorKind::Supervisor));
    let budget = inner.budget.unwrap();
    assert_eq!((budget.max, budget.within_s, budget.used), (1000, 3600, 0));
    let worker = tree.actor("t/inner/a");
    assert_eq!((worker.strategy, worker.budget, worker.kind), (None, None, ActorKind::Worker));
}

#[tokio::test(start_paused = true)]
async fn what_an_actor_does_and_waits_for_is_shown() {
    let (tree, at) = two().await;
    tell(&at, |ctx| {
        ctx.background(std::future::pending());
        ctx.spawn("pull busybox", std::future::pending());
        ctx.waiting_for(Some("podman".into()));
        Ok(())
    });
    pass(Duration::from_secs(3)).await;
    tell(&at, |ctx| {
        ctx.spawn("a younger task", std::future::pending());
        Ok(())
    });
    pass(Duration::from_secs(2)).await;
    let shown = tree.actor("t/a");
    let doing = shown.doing.unwrap();
    assert_eq!((doing.what.as_str(), doing.for_ms), ("pull busybox", 5000));
    assert_eq!((shown.state, shown.waiting_for.as_deref()), (ActorState::Waiting, Some("podman")));
    assert_eq!(shown.last_progress_ms, 2000, "the age of the last handled message");
    tell(&at, |ctx| {
        ctx.waiting_for(None);
        Ok(())
    });
    calm().await;
    assert_eq!((tree.actor("t/a").state, tree.actor("t/a").waiting_for), (ActorState::Running, None));
    crash(&at);
    tree.until_up("t/a", 1).await;
    assert_eq!(tree.actor("t/a").doing, None, "a new incarnation does nothing yet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_depth_of_a_mailbox_is_shown() {
    let (tree, at) = two().await;
    let (entered, is_in) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    tell(&at, move |_| {
        entered.send(()).unwrap();
        block_in_place(|| gate.recv().unwrap());
        Ok(())
    });
    is_in.recv().unwrap();
    (0..3).for_each(|_| assert!(tell(&at, |_| Ok(()))));
    assert_eq!(tree.actor("t/a").mailbox, 3);
    open.send(()).unwrap();
    until("empty", || tree.actor("t/a").mailbox == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_a_path_or_a_unique_last_part() {
    let (tree, _) = two().await;
    assert_eq!(tree.board.resolve("b"), Ok("t/b".into()));
    assert_eq!(tree.board.resolve("t/inner/a"), Ok("t/inner/a".into()));
    let ambiguous = tree.board.restart("a").await.unwrap_err();
    assert_eq!(ambiguous.to_string(), "a is ambiguous: t/inner/a, t/a");
    assert_eq!(tree.board.restart("x").await, Err(RestartError::NotFound("x".into())));
    assert_eq!(tree.board.restart("t").await, Err(RestartError::Root));
    assert_eq!(tree.board.restart("t/a").await.unwrap().restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_declaration_can_be_read() {
    let log = Log::default();
    let mut inner = spec(Strategy::RestForOne, PATIENT, Ending::Escalate, vec![]);
    inner.name = "inner";
    inner.children = vec![toy("a", &log, &Toys::new())];
    let child = supervisor(inner);
    let below = child.supervisor().unwrap();
    assert_eq!(
        (child.name(), child.kind(), below.strategy.as_str()),
        ("inner", ActorKind::Supervisor, "rest_for_one")
    );
    assert_eq!((below.children[0].name(), below.children[0].kind()), ("a", ActorKind::Worker));
    assert!(below.children[0].supervisor().is_none() && below.children[0].keyed().is_none());
}
