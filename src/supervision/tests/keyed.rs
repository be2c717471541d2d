use super::toy::*;
use crate::supervision::*;
use fleet_contracts::commands::{ActorKind, ActorState};
use std::time::Duration;
use tokio::time::Instant;

type Many = Keyed<String, Deed>;

async fn keyed_tree(max: u32) -> (Tree, Many) {
    let (log, many) = (Log::default(), Many::new());
    let spec = KeyedSpec {
        name: "many",
        about: "",
        budget: Budget { max, within: HOUR },
        stop_within: Duration::from_secs(5),
    };
    let (scripts, hooks, parked) = (log.clone(), log.clone(), log.clone());
    let child = keyed::<String, Toy>(
        spec,
        &many,
        move |key| Script::new(key, &scripts),
        move |key| hooks.note(format!("hook {key}")),
        move |key, failure| parked.note(format!("parked {key}: {failure}")),
    );
    let tree = run(Strategy::OneForOne, PATIENT, vec![child], log).await;
    (tree, many)
}

async fn with(max: u32, keys: &[&str]) -> (Tree, Many) {
    let (tree, many) = keyed_tree(max).await;
    keys.iter().for_each(|key| many.ensure(key.to_string()));
    calm().await;
    (tree, many)
}

fn break_it(many: &Many, key: &str) -> bool {
    many.send(&key.into(), deed(|_| Err(Fault::new("broken"))))
}

#[tokio::test(start_paused = true)]
async fn one_worker_per_key_is_started_and_shown() {
    let (tree, many) = with(5, &["web", "db", "web"]).await;
    assert_eq!(many.keys(), ["db", "web"]);
    assert_eq!((tree.log.count("up web"), tree.log.count("up db")), (1, 1));
    assert_eq!(tree.log.count("hook web"), 1, "the hook is called after the start");
    assert_eq!(tree.actor("t/many").kind, ActorKind::Keyed);
    assert_eq!(tree.actor("t/many/web").parent.as_deref(), Some("t/many"));
    assert!(many.send(&"web".into(), deed(|_| Ok(()))));
    assert!(!many.send(&"cache".into(), deed(|_| Ok(()))));
    assert_eq!(many.broadcast(|_| deed(|_| Ok(()))).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_over_its_budget_is_parked_and_the_others_are_unaffected() {
    let (tree, many) = with(2, &["web", "db"]).await;
    for restarts in 1..=2 {
        break_it(&many, "web");
        tree.until_up("t/many/web", restarts).await;
    }
    break_it(&many, "web");
    tree.until_is("t/many/web", ActorState::Parked).await;
    pass(3 * HOUR).await;
    let told = tree.log.all().into_iter().filter(|line| line.starts_with("parked ")).count();
    assert_eq!(told, 1, "{:?}", tree.log.all());
    assert_eq!(tree.actor("t/many/web").state, ActorState::Parked, "for ever");
    assert_eq!(tree.actor("t/many/web").retry_in_ms, None);
    let db = tree.actor("t/many/db");
    assert_eq!((db.state, db.restarts), (ActorState::Running, 0));
    assert_eq!(tree.actor("t").budget.unwrap().used, 0);
    assert!(break_it(&many, "db"));
    tree.until_up("t/many/db", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_parked_one_comes_back_when_ensured_or_restarted_by_request() {
    let (tree, many) = with(1, &["web"]).await;
    let break_twice = async |restarts| {
        break_it(&many, "web");
        tree.until_up("t/many/web", restarts).await;
        break_it(&many, "web");
        tree.until_is("t/many/web", ActorState::Parked).await;
    };
    break_twice(1).await;
    many.ensure("web".into());
    tree.until_up("t/many/web", 2).await;
    break_twice(3).await;
    assert_eq!(tree.board.restart("web").await.unwrap().restarts, 4);
    break_twice(5).await;
}

#[tokio::test(start_paused = true)]
async fn retire_stops_in_order_and_forgets() {
    let (tree, many) = with(5, &["web", "db"]).await;
    many.retire(&"web".into());
    until("gone", || tree.log.count("gone web") == 1).await;
    calm().await;
    assert_eq!(tree.log.count("stop web"), 1);
    let names: Vec<_> = tree.board.actors().into_iter().map(|actor| actor.name).collect();
    assert_eq!(names, ["t", "t/many", "t/many/db"]);
}

#[tokio::test(start_paused = true)]
async fn one_retired_during_its_backoff_does_not_come_back() {
    let (tree, many) = with(1000, &["web"]).await;
    while break_it(&many, "web") {
        calm().await;
    }
    let tries = tree.log.count("try web");
    many.retire(&"web".into());
    pass(HOUR).await;
    assert_eq!(tree.log.count("try web"), tries);
    assert_eq!(tree.board.actors().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_ensured_again_while_it_leaves_starts_after_the_old_one_is_gone() {
    let (tree, many) = with(5, &["web"]).await;
    tree.log.clear();
    many.retire(&"web".into());
    many.ensure("web".into());
    until("up", || tree.log.count("hook web") == 1).await;
    assert_eq!(tree.log.all(), ["stop web", "gone web", "try web", "up web", "hook web"]);
    assert!(many.send(&"web".into(), deed(|_| Ok(()))), "the directory leads to the new one");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_keyed_supervisor_starts_the_wanted_set_again() {
    let (tree, many) = with(5, &["web", "db"]).await;
    many.retire(&"db".into());
    many.ensure("cache".into());
    tree.board.restart("many").await.unwrap();
    until("up", || tree.log.count("hook web") == 2).await;
    many.ensure("late".into());
    calm().await;
    let names: Vec<_> = tree.board.actors().into_iter().map(|actor| actor.name).collect();
    assert_eq!(names[2..].len(), 3, "{names:?}");
    assert_eq!(many.broadcast(|_| deed(|_| Ok(()))).len(), 3);
    assert_eq!(tree.actor("t/many/web").restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn keyed_children_are_stopped_at_the_same_time() {
    let (log, many) = (Log::default(), Many::new());
    let spec = KeyedSpec { name: "many", about: "", budget: PATIENT, stop_within: Duration::from_secs(5) };
    let scripts = log.clone();
    let deaf =
        move |key: &String| Script::new(key, &scripts).on_stop(|| Some(Box::pin(std::future::pending())));
    let child = keyed::<String, Toy>(spec, &many, deaf, |_| (), |_, _| ());
    let tree = run(Strategy::OneForOne, PATIENT, vec![child], log).await;
    (0..50).for_each(|n| many.ensure(format!("d{n}")));
    calm().await;
    let begin = Instant::now();
    assert_eq!(tree.root.stop(Duration::from_secs(40)).await, Ended::Stopped);
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert_eq!(tree.log.all().iter().filter(|line| line.starts_with("gone")).count(), 50);
}

/// Else a restart of the supervisor would have everything tried again that was given up.
#[tokio::test(start_paused = true)]
async fn a_parked_one_stays_parked_when_its_supervisor_is_restarted_and_is_told_of_to_whom_asks() {
    let (tree, many) = with(0, &["web", "db"]).await;
    break_it(&many, "web");
    tree.until_is("t/many/web", ActorState::Parked).await;
    for _ in 0..2 {
        tree.board.restart("many").await.unwrap();
        calm().await;
        assert_eq!(tree.actor("t/many/web").state, ActorState::Parked);
        let parked = many.parked();
        assert_eq!(parked.len(), 1);
        assert!(parked[0].0 == "web" && parked[0].1.contains("broken"), "{parked:?}");
    }
    assert_eq!(tree.log.count("up web"), 1);
    many.ensure("web".into());
    until("up", || tree.log.count("up web") == 2).await;
    assert_eq!(many.parked(), []);
    break_it(&many, "web");
    tree.until_is("t/many/web", ActorState::Parked).await;
    tree.board.restart("web").await.unwrap();
    assert_eq!(many.parked(), []);
}

#[tokio::test(start_paused = true)]
async fn crashes_with_one_task_do_not_count_against_the_next_one() {
    let (tree, many) = with(1, &["web"]).await;
    break_it(&many, "web");
    tree.until_up("t/many/web", 1).await;
    many.renew("web".into());
    calm().await;
    break_it(&many, "web");
    tree.until_up("t/many/web", 2).await;
    break_it(&many, "web");
    tree.until_is("t/many/web", ActorState::Parked).await;
}
