use super::toy::*;
use crate::supervision::*;
use std::future::pending;
use std::time::Duration;
use tokio::time::Instant;

const BUDGET: Duration = Duration::from_secs(40);

#[tokio::test(start_paused = true)]
async fn an_ordered_stop_is_reverse_and_runs_each_childs_last_work() {
    let log = Log::default();
    let mut inner = spec(Strategy::RestForOne, PATIENT, Ending::Escalate, vec![]);
    inner.name = "inner";
    inner.children = vec![toy("b", &log, &Toys::new()), scripted(flushing("c", &log), &Toys::new())];
    let children =
        vec![scripted(flushing("a", &log), &Toys::new()), supervisor(inner), toy("d", &log, &Toys::new())];
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    tree.log.clear();
    assert_eq!(tree.root.stop(BUDGET).await, Ended::Stopped);
    assert_eq!(
        tree.log.all(),
        [
            "stop d",
            "gone d",
            "stop c",
            "flushed c",
            "gone c",
            "stop b",
            "gone b",
            "stop a",
            "flushed a",
            "gone a"
        ]
    );
    assert_eq!(tree.root.wait().await, Ended::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_deaf_child_is_killed_after_its_budget() {
    let log = Log::default();
    let deaf = Script::new("b", &log).on_stop(|| Some(Box::pin(pending())));
    let children =
        vec![toy("a", &log, &Toys::new()), scripted(deaf, &Toys::new()).stop_within(Duration::from_secs(3))];
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    tree.log.clear();
    let begin = Instant::now();
    assert_eq!(tree.root.stop(BUDGET).await, Ended::Stopped);
    assert_eq!(begin.elapsed().as_secs(), 3);
    assert_eq!(tree.log.all(), ["stop b", "gone b", "stop a", "gone a"]);
}

#[tokio::test(start_paused = true)]
async fn the_stop_of_the_tree_ends_with_its_budget_whatever_children_may_take() {
    let log = Log::default();
    let deaf = |name: &str| {
        let script = Script::new(name, &log).on_stop(|| Some(Box::pin(pending())));
        scripted(script, &Toys::new()).stop_within(HOUR)
    };
    let children = vec![deaf("a"), deaf("b")];
    let tree = run(Strategy::OneForOne, PATIENT, children, log.clone()).await;
    let begin = Instant::now();
    assert_eq!(tree.root.stop(Duration::from_secs(7)).await, Ended::Stopped);
    assert_eq!(begin.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_requested_restart_kills_a_deaf_child_before_the_new_one_starts() {
    let log = Log::default();
    let deaf = Script::new("a", &log).on_stop(|| Some(Box::pin(pending())));
    let tree = run(Strategy::OneForOne, PATIENT, vec![scripted(deaf, &Toys::new())], log).await;
    tree.log.clear();
    let begin = Instant::now();
    tree.board.restart("a").await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert_eq!(tree.log.all(), ["stop a", "gone a", "try a", "up a"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_backoff_brings_nobody_back() {
    let (log, at) = (Log::default(), Toys::new());
    let tree = run(Strategy::OneForOne, PATIENT, vec![toy("a", &log, &at)], log).await;
    while crash(&at) {
        calm().await;
    }
    let tries = tree.log.count("try a");
    assert_eq!(tree.root.stop(BUDGET).await, Ended::Stopped);
    pass(Duration::from_secs(60)).await;
    assert_eq!(tree.log.count("try a"), tries);
}

#[tokio::test(start_paused = true)]
async fn nobody_hears_messages_after_the_stop() {
    let (log, at) = (Log::default(), Toys::new());
    let tree = run(Strategy::OneForOne, PATIENT, vec![toy("a", &log, &at)], log).await;
    tree.root.stop(BUDGET).await;
    assert!(!tell(&at, |_| Ok(())));
    assert!(matches!(tree.board.restart("a").await, Err(RestartError::Down(_))));
}
