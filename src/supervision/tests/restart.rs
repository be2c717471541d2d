use super::toy::*;
use crate::supervision::*;
use fleet_contracts::commands::{ActorState, Cause};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::task::block_in_place;
use tokio::time::Instant;

async fn three(strategy: Strategy, budget: Budget) -> (Tree, [Toys; 3]) {
    let (log, at) = (Log::default(), [Toys::new(), Toys::new(), Toys::new()]);
    let children = ["a", "b", "c"].iter().zip(&at).map(|(name, at)| toy(name, &log, at)).collect();
    let tree = run(strategy, budget, children, log).await;
    (tree, at)
}

#[tokio::test(start_paused = true)]
async fn children_start_in_declared_order() {
    let (tree, _) = three(Strategy::OneForOne, PATIENT).await;
    assert_eq!(tree.log.all(), ["try a", "up a", "try b", "up b", "try c", "up c"]);
    let names: Vec<_> = tree.board.actors().into_iter().map(|actor| actor.name).collect();
    assert_eq!(names, ["t", "t/a", "t/b", "t/c"]);
}

#[tokio::test(start_paused = true)]
async fn a_crashing_child_is_restarted_at_once_and_its_siblings_keep_running() {
    let (tree, [_, b, _]) = three(Strategy::OneForOne, PATIENT).await;
    tree.log.clear();
    let begin = Instant::now();
    assert!(panics(&b));
    calm().await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(tree.log.all(), ["gone b", "try b", "up b"]);
    let error = tree.actor("t/b").last_error.unwrap();
    assert_eq!((error.cause, error.message.as_str()), (Cause::Panic, "at the disco"));
    assert_eq!((tree.actor("t/b").restarts, tree.actor("t/a").restarts), (1, 0));
    assert!(tell(&b, |_| Ok(())), "its address leads to the new one");
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_told_from_a_panic() {
    let (tree, [a, ..]) = three(Strategy::OneForOne, PATIENT).await;
    crash(&a);
    tree.until_up("t/a", 1).await;
    let error = tree.actor("t/a").last_error.unwrap();
    assert_eq!((error.cause, error.message.as_str()), (Cause::Error, "broken"));
}

#[tokio::test(start_paused = true)]
async fn backoff_grows_and_is_cleared_after_five_minutes_of_running() {
    let (tree, [a, ..]) = three(Strategy::OneForOne, PATIENT).await;
    let mut longest = Duration::ZERO;
    for crashes in 1..=12 {
        crash(&a);
        calm().await;
        let begin = Instant::now();
        tree.until_up("t/a", crashes).await;
        longest = longest.max(begin.elapsed());
    }
    assert!(longest > Duration::from_secs(1), "twelve crashes in a row wait: {longest:?}");
    assert!(longest <= Duration::from_millis(30_001), "{longest:?}");
    pass(Duration::from_secs(300)).await;
    crash(&a);
    calm().await;
    assert_eq!(tree.actor("t/a").restarts, 13, "restarted without a wait");
    assert_eq!(tree.actor("t/a").state, ActorState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_backs_off_says_for_how_long() {
    let (tree, [a, ..]) = three(Strategy::OneForOne, PATIENT).await;
    // Jitter may be next to nothing: several crashes make it near certain to be seen.
    for crashes in 1..=10 {
        crash(&a);
        calm().await;
        if tree.actor("t/a").state == ActorState::BackingOff {
            assert!(tree.actor("t/a").retry_in_ms.is_some());
            assert!(!tell(&a, |_| Ok(())), "nobody is there");
            assert_eq!(tree.actor("t/a").mailbox, 0);
            return;
        }
        tree.until_up("t/a", crashes).await;
    }
    panic!("never seen backing off");
}

#[tokio::test(start_paused = true)]
async fn an_exceeded_budget_ends_the_tree_as_given_up_after_an_ordered_stop() {
    let budget = Budget { max: 2, within: Duration::from_secs(60) };
    let (tree, [a, ..]) = three(Strategy::OneForOne, budget).await;
    for restarts in 1..=2 {
        crash(&a);
        tree.until_up("t/a", restarts).await;
    }
    assert_eq!(tree.actor("t").budget.unwrap().used, 2);
    tree.log.clear();
    crash(&a);
    let Ended::GaveUp(why) = tree.root.wait().await else { panic!("not given up") };
    assert!(why.contains("3 crashes within 60s") && why.contains("t/a: error: broken"), "{why}");
    assert_eq!(tree.log.all(), ["gone a", "stop c", "gone c", "stop b", "gone b"]);
}

#[tokio::test(start_paused = true)]
async fn crashes_spread_wider_than_the_window_are_borne_for_ever() {
    let budget = Budget { max: 1, within: Duration::from_secs(60) };
    let (tree, [a, ..]) = three(Strategy::OneForOne, budget).await;
    for restarts in 1..=20 {
        crash(&a);
        tree.until_up("t/a", restarts).await;
        pass(Duration::from_secs(61)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_supervisor_is_a_crash_in_its_parents_eyes() {
    let (log, at) = (Log::default(), Toys::new());
    let mut inner = spec(Strategy::OneForOne, Budget { max: 0, within: HOUR }, Ending::Escalate, vec![]);
    inner.name = "inner";
    inner.children = vec![toy("a", &log, &at)];
    let tree = run(Strategy::OneForOne, PATIENT, vec![supervisor(inner)], log).await;
    crash(&at);
    tree.until_up("t/inner", 1).await;
    tree.until_up("t/inner/a", 1).await;
    let error = tree.actor("t/inner").last_error.unwrap();
    assert!(error.message.contains("t/inner/a: error: broken"), "{error:?}");
    assert_eq!(tree.actor("t/inner").budget.unwrap().used, 0, "it begins with a clean budget");
    assert_eq!(tree.actor("t").budget.unwrap().used, 1);
}

#[tokio::test(start_paused = true)]
async fn a_parked_supervisor_comes_back_with_a_clean_budget() {
    let (log, at) = (Log::default(), Toys::new());
    let pause = Duration::from_secs(300);
    let mut link = spec(Strategy::OneForOne, Budget { max: 0, within: HOUR }, Ending::Park(pause), vec![]);
    link.name = "link";
    link.children = vec![toy("a", &log, &at), toy("b", &log, &Toys::new())];
    let tree = run(Strategy::OneForOne, PATIENT, vec![supervisor(link)], log).await;
    crash(&at);
    tree.until_is("t/link", ActorState::Parked).await;
    tree.until_is("t/link/b", ActorState::Parked).await;
    assert!(tree.actor("t/link").retry_in_ms.unwrap() > 299_000);
    assert!(!tell(&at, |_| Ok(())));
    tree.log.clear();
    pass(pause).await;
    assert_eq!(tree.log.all(), ["try a", "up a", "try b", "up b"]);
    assert_eq!(tree.actor("t/link").state, ActorState::Running);
    assert_eq!(tree.actor("t/link").budget.unwrap().used, 0);
    assert_eq!(tree.actor("t").budget.unwrap().used, 0, "its parent has borne nothing");
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_later_ones_only() {
    let (tree, [_, b, _]) = three(Strategy::RestForOne, PATIENT).await;
    tree.log.clear();
    crash(&b);
    tree.until_up("t/c", 1).await;
    assert_eq!(tree.log.all(), ["gone b", "stop c", "gone c", "try b", "up b", "try c", "up c"]);
    assert_eq!(tree.actor("t").budget.unwrap().used, 1, "those stopped along do not count");
    assert_eq!(tree.actor("t/a").restarts, 0);
    assert_eq!(tree.actor("t/c").last_error, None);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_stops_in_reverse_and_a_crash_of_one_that_waits_for_it_costs_no_budget() {
    let (log, at) = (Log::default(), [Toys::new(), Toys::new()]);
    let children = vec![
        toy("a", &log, &at[0]),
        scripted(flushing("b", &log), &at[1]),
        scripted(flushing("c", &log), &Toys::new()),
        scripted(flushing("d", &log), &Toys::new()),
    ];
    let tree = run(Strategy::RestForOne, PATIENT, children, log).await;
    tree.log.clear();
    crash(&at[0]);
    calm().await;
    crash(&at[1]);
    tree.until_up("t/d", 1).await;
    assert_eq!(
        tree.log.all().join(", "),
        "gone a, stop d, gone b, flushed d, gone d, stop c, flushed c, gone c, \
         try a, up a, try b, up b, try c, up c, try d, up d"
    );
    assert_eq!(tree.actor("t").budget.unwrap().used, 1);
    assert_eq!(tree.actor("t/b").last_error.unwrap().message, "broken", "but it is shown");
}

fn failing_first(times: u32, log: &Log) -> Script {
    let left = Arc::new(AtomicU32::new(times));
    Script::new("a", log).on_start(move |_| {
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
            Ok(_) => Err(Fault::new("not today")),
            Err(_) => Ok(()),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_counts_as_a_crash_and_does_not_hold_back_siblings() {
    let log = Log::default();
    let children = vec![scripted(failing_first(3, &log), &Toys::new()), toy("b", &log, &Toys::new())];
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    assert_eq!(tree.actor("t/b").state, ActorState::Running);
    tree.until_up("t/a", 3).await;
    assert_eq!(tree.actor("t").budget.unwrap().used, 3);
    let error = tree.actor("t/a").last_error.unwrap();
    assert_eq!((error.cause, error.message.as_str()), (Cause::Start, "not today"));
}

#[tokio::test(start_paused = true)]
async fn under_rest_for_one_nobody_starts_before_the_one_it_depends_on() {
    let log = Log::default();
    let children = vec![scripted(failing_first(4, &log), &Toys::new()), toy("b", &log, &Toys::new())];
    let tree = run(Strategy::RestForOne, PATIENT, children, log).await;
    tree.until_up("t/b", 0).await;
    assert_eq!(tree.log.all()[4..], ["try a", "up a", "try b", "up b"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_start_is_a_failed_start() {
    let log = Log::default();
    let script = Script::new("a", &log).on_start(|_| panic!("too early"));
    let budget = Budget { max: 1, within: HOUR };
    let tree = run(Strategy::OneForOne, budget, vec![scripted(script, &Toys::new())], log).await;
    let Ended::GaveUp(why) = tree.root.wait().await else { panic!("not given up") };
    assert!(why.contains("start: panic: too early"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_killed_child_is_restarted() {
    let (tree, [a, ..]) = three(Strategy::OneForOne, PATIENT).await;
    a.kill();
    tree.until_up("t/a", 1).await;
    let error = tree.actor("t/a").last_error.unwrap();
    assert_eq!(error.message, "stopped without being asked (killed)");
}

#[tokio::test(start_paused = true)]
async fn one_that_crashes_right_after_its_start_is_restarted() {
    let log = Log::default();
    let left = Arc::new(AtomicU32::new(3));
    let script = Script::new("a", &log).on_start(move |ctx| {
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            ctx.me().send(deed(|_| Err(Fault::new("so soon"))));
        }
        Ok(())
    });
    let tree = run(Strategy::OneForOne, PATIENT, vec![scripted(script, &Toys::new())], log).await;
    tree.until_up("t/a", 3).await;
    assert_eq!(tree.actor("t/a").last_error.unwrap().message, "so soon");
}

#[tokio::test(start_paused = true)]
async fn a_requested_restart_uses_no_budget_and_answers_when_the_new_one_is_up() {
    let (tree, [_, b, _]) = three(Strategy::OneForOne, Budget { max: 0, within: HOUR }).await;
    for restarts in 1..=5 {
        tree.log.clear();
        let outcome = tree.board.restart("b").await.unwrap();
        assert_eq!(outcome, RestartOutcome { name: "t/b".into(), restarts });
        assert_eq!(tree.log.all(), ["stop b", "gone b", "try b", "up b"]);
        assert!(tell(&b, |_| Ok(())));
    }
    assert_eq!(tree.actor("t").budget.unwrap().used, 0);
    assert_eq!(tree.actor("t/b").last_error.unwrap().cause, Cause::Requested);
}

#[tokio::test(start_paused = true)]
async fn a_requested_restart_cuts_a_backoff_short_and_leaves_no_stale_timer() {
    let (tree, [a, ..]) = three(Strategy::OneForOne, PATIENT).await;
    let mut restarts = 0;
    while tree.actor("t/a").state != ActorState::BackingOff {
        crash(&a);
        restarts += 1;
        calm().await;
        if tree.actor("t/a").state == ActorState::Running {
            continue;
        }
    }
    let begin = Instant::now();
    assert_eq!(tree.board.restart("t/a").await.unwrap().restarts, restarts);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    pass(Duration::from_secs(60)).await;
    assert_eq!(tree.actor("t/a").restarts, restarts, "the old timer starts nobody");
}

#[tokio::test(start_paused = true)]
async fn a_requested_restart_of_a_parked_supervisors_child_ends_the_parking() {
    let (log, at) = (Log::default(), Toys::new());
    let ending = Ending::Park(HOUR);
    let children = vec![toy("a", &log, &at)];
    let spec = spec(Strategy::OneForOne, Budget { max: 0, within: HOUR }, ending, children);
    let tree = run_spec(spec, log).await;
    crash(&at);
    tree.until_is("t/a", ActorState::Parked).await;
    assert_eq!(tree.board.restart("a").await.unwrap().restarts, 1);
    assert_eq!(tree.actor("t").state, ActorState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_panic_inside_a_supervisor_is_never_a_success() {
    let (log, at) = (Log::default(), Toys::new());
    let ups = Arc::new(AtomicU32::new(0));
    let child = toy("a", &log, &at).on_up(move || {
        assert_eq!(ups.fetch_add(1, Ordering::SeqCst), 0, "a bug in a supervisor");
    });
    let tree = run(Strategy::OneForOne, PATIENT, vec![child], log).await;
    crash(&at);
    assert!(matches!(tree.root.wait().await, Ended::GaveUp(_)));
    until("its children are gone", || tree.log.count("gone a") == 2).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_supervisors_panic_no_two_incarnations_share_an_address() {
    let (log, at) = (Log::default(), Toys::new());
    let ups = Arc::new(AtomicU32::new(0));
    let bug = move || assert_ne!(ups.fetch_add(1, Ordering::SeqCst), 1, "a bug in a supervisor");
    let mut inner = spec(Strategy::OneForOne, PATIENT, Ending::Escalate, vec![]);
    inner.name = "inner";
    inner.children = vec![toy("a", &log, &at).on_up(bug), toy("b", &log, &Toys::new())];
    let tree = run(Strategy::OneForOne, PATIENT, vec![supervisor(inner)], log).await;
    crash(&at);
    tree.until_up("t/inner", 1).await;
    until("both are up again", || tree.log.count("up a") == 3 && tree.log.count("up b") == 2).await;
    let mut living = 0i32;
    for line in tree.log.all().iter().filter(|line| line.ends_with(" b")) {
        living += match line.split(' ').next() {
            Some("up") => 1,
            Some("gone") => -1,
            _ => 0,
        };
        assert!(living <= 1, "{:?}", tree.log.all());
    }
}

/// A child whose first start takes `long` before it begins.
fn slow_at_first(long: Duration, log: &Log, at: &Toys) -> ChildSpec {
    let mut child = toy("a", log, at);
    let (starter, first) = (child.starter.clone(), AtomicU32::new(1));
    child.starter = Arc::new(move |place| {
        let wait = long * first.swap(0, Ordering::SeqCst);
        let started = starter(place);
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            started.await
        })
    });
    child
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_is_a_failed_start_and_never_becomes_a_second_incarnation() {
    let (log, at) = (Log::default(), Toys::new());
    let children = vec![slow_at_first(Duration::from_secs(15), &log, &at), toy("b", &log, &Toys::new())];
    let begin = Instant::now();
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    tree.until_up("t/a", 1).await;
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert_eq!(tree.actor("t/a").last_error.unwrap().message, "not up within 10s");
    pass(HOUR).await;
    crash(&at);
    tree.until_up("t/a", 2).await;
    assert_eq!(tree.log.count("try a"), 2);
    assert!(tell(&at, |_| Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_start_does_not_keep_a_sibling_down() {
    let (log, at) = (Log::default(), Toys::new());
    let hangs = Arc::new(AtomicU32::new(0));
    let mut child = toy("a", &log, &Toys::new());
    let (starter, when) = (child.starter.clone(), hangs.clone());
    child.starter = Arc::new(move |place| match when.load(Ordering::SeqCst) {
        0 => starter(place),
        _ => Box::pin(std::future::pending()),
    });
    let tree = run(Strategy::OneForOne, PATIENT, vec![child, toy("b", &log, &at)], log).await;
    hangs.store(1, Ordering::SeqCst);
    let board = tree.board.clone();
    tokio::spawn(async move { board.restart("a").await });
    tree.until_is("t/a", ActorState::Starting).await;
    crash(&at);
    calm().await;
    assert_eq!((tree.actor("t/b").state, tree.actor("t/b").restarts), (ActorState::Running, 1));
}

#[tokio::test(start_paused = true)]
async fn a_supervisors_children_are_up_before_its_next_sibling_starts() {
    let log = Log::default();
    let mut inner = spec(Strategy::OneForOne, PATIENT, Ending::Escalate, vec![]);
    inner.name = "inner";
    inner.children = vec![toy("a", &log, &Toys::new()), toy("b", &log, &Toys::new())];
    let children = vec![supervisor(inner), toy("c", &log, &Toys::new())];
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    assert_eq!(tree.log.all(), ["try a", "up a", "try b", "up b", "try c", "up c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_crashes_at_once_on_real_threads_bring_everybody_back() {
    let log = Log::default();
    let at: Vec<_> = (0..50).map(|_| Toys::new()).collect();
    let children = at.iter().enumerate().map(|(n, at)| toy(&format!("n{n}"), &log, at)).collect();
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    for round in 1..=3 {
        at.iter().for_each(|at| assert!(crash(at)));
        for n in 0..50 {
            tree.until_up(&format!("t/n{n}"), round).await;
        }
    }
    assert_eq!(tree.actor("t").budget.unwrap().used, 150);
    assert_eq!(tree.root.stop(Duration::from_secs(40)).await, Ended::Stopped);
}

fn link(budget: Budget, pause: Duration, children: Vec<ChildSpec>) -> ChildSpec {
    let spec = spec(Strategy::OneForOne, budget, Ending::Park(pause), children);
    supervisor(SupervisorSpec { name: "link", ..spec })
}

#[tokio::test(start_paused = true)]
async fn a_parking_that_was_cut_short_leaves_no_stale_timer() {
    let (log, at) = (Log::default(), Toys::new());
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let none = Budget { max: 0, within: HOUR };
    let children = vec![link(none, minutes(10), vec![toy("a", &log, &at)])];
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    crash(&at);
    pass(minutes(5)).await;
    tree.board.restart("a").await.unwrap();
    crash(&at);
    pass(minutes(6)).await;
    assert_eq!(tree.actor("t/link").state, ActorState::Parked, "the first parking is over, not the second");
    pass(minutes(5)).await;
    assert_eq!(tree.actor("t/link").state, ActorState::Running);
}

#[tokio::test(start_paused = true)]
async fn after_a_parking_children_start_in_declared_order_again() {
    let (log, at) = (Log::default(), Toys::new());
    let mut slow = toy("a", &log, &at);
    let starter = slow.starter.clone();
    slow.starter = Arc::new(move |place| {
        let started = starter(place);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            started.await
        })
    });
    let children = vec![slow, toy("b", &log, &Toys::new())];
    let none = Budget { max: 0, within: HOUR };
    let tree = run(Strategy::OneForOne, PATIENT, vec![link(none, HOUR, children)], log).await;
    crash(&at);
    tree.until_is("t/link/b", ActorState::Parked).await;
    tree.log.clear();
    pass(HOUR + Duration::from_secs(1)).await;
    assert_eq!(tree.log.all(), ["try a", "up a", "try b", "up b"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_parks_while_it_comes_up_is_shown_as_parked() {
    let log = Log::default();
    let child = scripted(failing_first(1, &log), &Toys::new());
    let none = Budget { max: 0, within: HOUR };
    let tree = run(Strategy::OneForOne, PATIENT, vec![link(none, HOUR, vec![child])], log).await;
    assert_eq!(tree.actor("t/link").state, ActorState::Parked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crashed_one_owned_is_gone_before_the_next_one_starts() {
    let (log, at) = (Log::default(), Toys::new());
    let mut script = Script::new("a", &log);
    script.lingers = Duration::from_millis(50);
    let tree = run(Strategy::OneForOne, PATIENT, vec![scripted(script, &at)], log).await;
    tree.log.clear();
    crash(&at);
    tree.until_up("t/a", 1).await;
    assert_eq!(tree.log.all(), ["gone a", "try a", "up a"]);
    panics(&at);
    tree.until_up("t/a", 2).await;
    assert_eq!(tree.log.all()[3..], ["gone a", "try a", "up a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn after_a_supervisors_death_the_next_incarnation_waits_for_the_busy_old_one() {
    let (log, at) = (Log::default(), Toys::new());
    let ups = Arc::new(AtomicU32::new(0));
    let bug = move || assert_ne!(ups.fetch_add(1, Ordering::SeqCst), 1, "a bug in a supervisor");
    let trigger = Toys::new();
    let inner = spec(
        Strategy::OneForOne,
        PATIENT,
        Ending::Escalate,
        vec![toy("a", &log, &trigger).on_up(bug), toy("b", &log, &at)],
    );
    let inner = supervisor(SupervisorSpec { name: "inner", ..inner });
    let tree = run(Strategy::OneForOne, PATIENT, vec![inner], log).await;
    let (open, gate) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel();
    tell(&at, move |_| {
        enter.send(()).unwrap();
        block_in_place(|| gate.recv().unwrap());
        Ok(())
    });
    block_in_place(|| entered.recv().unwrap());
    tree.log.clear();
    crash(&trigger);
    until("b's next start", || tree.actor("t/inner/b").restarts == 1).await;
    // Time enough for a start that does not wait.
    pass(Duration::from_millis(50)).await;
    open.send(()).unwrap();
    tree.until_up("t/inner/b", 1).await;
    let of_b: Vec<_> = tree.log.all().into_iter().filter(|line| line.ends_with(" b")).collect();
    assert_eq!(of_b, ["gone b", "try b", "up b"]);
}
