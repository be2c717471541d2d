use super::*;
use crate::actors::tests::{Heard, device, pass, pull, reconcilers, run, running, settle, web};
use crate::messages::effects::{Asked, Effect};
use crate::runtime::fake::{FakeRuntime, Op, Program, Registry};
use crate::store::fake::FakeOwner;
use crate::supervision::{Address, worker};
use crate::vault::fake::FakeVault;
use std::time::Duration;

struct Bench {
    runtime: FakeRuntime,
    lock: Arc<FakeOwner>,
    ownership: OwnershipView,
    effects: Address<Message>,
    heard: Heard<Reconciler>,
}

async fn bench() -> Bench {
    let runtime = FakeRuntime::new(device());
    runtime.add_image("demo:1");
    let (directory, lock, effects) = (Keyed::new(), Arc::new(FakeOwner::new(true)), Address::new());
    let ownership = OwnershipView::new(lock.clone());
    let (child, heard) = reconcilers(&directory);
    let args = Args {
        runtime: Arc::new(runtime.clone()),
        reconcilers: directory.clone(),
        ownership: ownership.clone(),
        clock: Clock::start(),
        vault: Arc::new(FakeVault::default()),
        floor: Floor::default(),
    };
    run(vec![child, worker::<Effects>("effects", "", args, effects.clone())]).await;
    directory.ensure(web());
    for name in ["good", "slow-1", "slow-2"] {
        directory.ensure(name.parse().unwrap());
    }
    settle().await;
    Bench { runtime, lock, ownership, effects, heard }
}

fn slot() -> Lane {
    Lane::Slot("a".parse().unwrap())
}

fn image() -> Lane {
    Lane::Image("a".parse().unwrap())
}

impl Bench {
    fn perform(&self, lane: Lane, operation: Operation) {
        self.perform_for("web", lane, operation);
    }

    fn perform_for(&self, deployment: &str, lane: Lane, operation: Operation) {
        let job = Job { deployment: deployment.parse().unwrap(), lane, operation, asked: Asked::default() };
        self.effects.send(Message::Perform(job));
    }

    /// What the next operation came to, if it ends by then.
    async fn ends_within(&mut self, limit: Duration) -> Option<Outcome> {
        self.heard.next_within(limit, ended).await
    }

    fn cancel(&self, wanted: &str) {
        let (deployment, unless_it_pulls) = (web(), Some(wanted.to_owned()));
        let cancel = Message::Cancel { deployment, lane: image(), unless_it_pulls, asked: Asked::default() };
        self.effects.send(cancel);
    }

    async fn stop(&self, name: &str) {
        let id = self.runtime.container(name).unwrap().id;
        self.perform(slot(), Operation::Stop { id, cause: Cause::Changed });
    }
}

fn attached(message: Reconciler) -> Option<Vec<Lane>> {
    match message {
        Reconciler::Attached { lanes, .. } => Some(lanes),
        _ => None,
    }
}

fn ended(message: Reconciler) -> Option<Outcome> {
    match message {
        Reconciler::Ended(_, outcome) => Some(outcome),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_does_one_thing_at_a_time_and_says_so() {
    let mut bench = bench().await;
    running(&bench.runtime, "fleet-web.a").await;
    bench.runtime.hang(Op::Signal);
    bench.stop("fleet-web.a").await;
    bench.stop("fleet-web.a").await;
    assert_eq!(bench.heard.next(attached).await, [slot()]);
    pass(1).await;
    bench.runtime.release(Op::Signal);
    assert!(matches!(bench.heard.next(ended).await, Ok(Effect::Stopped { code: 143, .. })));
    assert_eq!(bench.runtime.calls(Op::Signal), 1);
}

#[tokio::test(start_paused = true)]
async fn without_ownership_nothing_is_done() {
    let mut bench = bench().await;
    running(&bench.runtime, "fleet-web.a").await;
    bench.ownership.set(false);
    bench.stop("fleet-web.a").await;
    assert!(matches!(bench.heard.next(ended).await, Err(Failure::Unknown { code: Code::Internal, .. })));
    assert_eq!(bench.runtime.calls(Op::Signal), 0);
}

/// The check every half minute has not seen it yet: the process may have been stopped meanwhile.
#[tokio::test(start_paused = true)]
async fn a_lock_that_was_lost_a_moment_ago_stops_the_next_operation() {
    let mut bench = bench().await;
    running(&bench.runtime, "fleet-web.a").await;
    bench.lock.is_ours(false);
    bench.stop("fleet-web.a").await;
    assert!(matches!(bench.heard.next(ended).await, Err(Failure::Unknown { code: Code::Internal, .. })));
    assert_eq!(bench.runtime.calls(Op::Signal), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_in_another_epoch_does_not_begin() {
    let mut bench = bench().await;
    bench.runtime.hang(Op::RemoveNetwork);
    for n in 0..OPERATIONS_AT_ONCE {
        let lane = Lane::Slot(format!("s{n}").parse().unwrap());
        bench.perform(lane, Operation::RemoveNetwork("busy".into()));
    }
    running(&bench.runtime, "fleet-web.a").await;
    let id = bench.runtime.container("fleet-web.a").unwrap().id;
    bench.perform(slot(), Operation::Stop { id, cause: Cause::Changed });
    pass(1).await;
    bench.ownership.set(false);
    bench.ownership.set(true);
    bench.runtime.release(Op::RemoveNetwork);
    let refused = |outcome: &Outcome| matches!(outcome, Err(Failure::Unknown { code: Code::Internal, .. }));
    let refusal = async { while !refused(&bench.heard.next(ended).await) {} };
    tokio::time::timeout(Duration::from_secs(600), refusal).await.expect("it is refused");
    assert_eq!(bench.runtime.calls(Op::Signal), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pull_ends_when_another_image_is_wanted_and_not_when_it_is_the_same() {
    let mut bench = bench().await;
    bench.runtime.registry("big:1", Registry::has_slowly(Program::polite(), 100, Duration::from_secs(10)));
    bench.perform(image(), pull("big:1"));
    bench.cancel("big:1");
    assert_eq!(bench.heard.next(attached).await, [image()], "it goes on");
    bench.cancel("big:2");
    assert_eq!(bench.heard.next(attached).await, []);
    pass(2000).await;
    assert!(bench.heard.all().into_iter().all(|message| ended(message).is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ended_before_its_stop_was_stopped() {
    let mut bench = bench().await;
    running(&bench.runtime, "fleet-web.a").await;
    bench.runtime.exit("fleet-web.a", 3);
    bench.stop("fleet-web.a").await;
    assert!(matches!(bench.heard.next(ended).await, Ok(Effect::Stopped { code: 3, .. })));
    assert_eq!(bench.runtime.calls(Op::Signal), 0);
}

#[tokio::test(start_paused = true)]
async fn slow_stops_hold_up_no_other_operation() {
    let mut bench = bench().await;
    bench.runtime.add_image_with("demo:1", Program::deaf());
    for n in 0..2 * OPERATIONS_AT_ONCE {
        let name = format!("fleet-web.a{n}");
        running(&bench.runtime, &name).await;
        let id = bench.runtime.container(&name).unwrap().id;
        let lane = Lane::Slot(format!("s{n}").parse().unwrap());
        bench.perform(lane, Operation::Stop { id, cause: Cause::Changed });
    }
    bench.perform(Lane::Network, Operation::RemoveNetwork("none".into()));
    let first = tokio::time::timeout(Duration::from_secs(1), bench.heard.next(ended)).await;
    assert_eq!(first, Ok(Ok(Effect::NetworkRemoved)));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_whose_services_all_hang_leaves_slots_to_another() {
    let mut bench = bench().await;
    bench.runtime.hang(Op::RemoveNetwork);
    for n in 0..OPERATIONS_AT_ONCE {
        bench.perform(Lane::Slot(format!("s{n}").parse().unwrap()), Operation::RemoveNetwork("n".into()));
    }
    running(&bench.runtime, "fleet-good.a").await;
    let id = bench.runtime.container("fleet-good.a").unwrap().id;
    bench.perform_for("good", slot(), Operation::Stop { id, cause: Cause::Changed });
    let first = bench.ends_within(Duration::from_secs(1)).await;
    assert!(matches!(first, Some(Ok(Effect::Stopped { .. }))), "{first:?}");
}

const MINUTE: Duration = Duration::from_secs(60);

fn says(outcome: &Option<Outcome>, words: &str) -> bool {
    matches!(outcome, Some(Err(Failure::Refused { code: Code::ImagePull, message })) if message.contains(words))
}

#[tokio::test(start_paused = true)]
async fn pulls_that_drip_give_way_to_one_that_waits() {
    let mut bench = bench().await;
    for n in 1..=PULLS_AT_ONCE {
        bench.runtime.registry(&format!("drip:{n}"), Registry::drips(Duration::from_secs(50)));
        bench.perform_for(&format!("slow-{n}"), image(), pull(&format!("drip:{n}")));
    }
    assert_eq!(bench.ends_within(200 * MINUTE - MINUTE / 2).await, None, "nobody else wants to");
    bench.runtime.registry("good:1", Registry::has(Program::polite()));
    bench.perform_for("good", image(), pull("good:1"));
    // Both in the same moment, and told by two reconcilers.
    let ends = [bench.ends_within(11 * MINUTE).await, bench.ends_within(MINUTE).await];
    assert!(ends.iter().any(|end| says(end, "gives way")), "{ends:?}");
    assert!(ends.iter().any(has_pulled), "{ends:?}");
    assert_eq!(bench.ends_within(600 * MINUTE).await, None, "the other one goes on");
}

/// 2 MB in ten minutes: the slowest link over which anybody pulls.
#[tokio::test(start_paused = true)]
async fn a_pull_that_is_only_slow_has_four_hours_while_another_waits_and_all_time_while_none_does() {
    let mut bench = bench().await;
    for n in 1..=PULLS_AT_ONCE {
        let slow = Registry::has_slowly(Program::polite(), 1000, Duration::from_secs(50));
        bench.runtime.registry(&format!("big:{n}"), slow);
        bench.perform_for(&format!("slow-{n}"), image(), pull(&format!("big:{n}")));
    }
    bench.perform_for("good", image(), pull("good:1"));
    assert_eq!(bench.ends_within(239 * MINUTE).await, None);
    let ends = [bench.ends_within(2 * MINUTE).await, bench.ends_within(MINUTE).await];
    assert!(ends.iter().any(|end| says(end, "gives way")), "{ends:?}");
    assert!(ends.iter().any(|end| says(end, "manifest unknown")), "{ends:?}");
    assert_eq!(bench.ends_within(60 * MINUTE).await, None, "for one who waits one gives way");
}

#[tokio::test(start_paused = true)]
async fn two_pulls_of_one_deployment_leave_a_slot_to_another() {
    let mut bench = bench().await;
    for service in ["a", "b"] {
        bench.runtime.registry(&format!("{service}:1"), Registry::drips(Duration::from_secs(50)));
        bench.perform(Lane::Image(service.parse().unwrap()), pull(&format!("{service}:1")));
    }
    bench.runtime.registry("good:1", Registry::has(Program::polite()));
    bench.perform_for("good", image(), pull("good:1"));
    assert!(has_pulled(&bench.ends_within(Duration::from_secs(1)).await));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_long_for_an_image_is_no_registry_that_stalls() {
    let mut bench = bench().await;
    let registry = Registry::has(Program::polite());
    bench.runtime.registry("big:1", registry.clone().then_syncs(20 * MINUTE));
    bench.perform(image(), pull("big:1"));
    assert_eq!(bench.ends_within(19 * MINUTE).await, None);
    assert!(has_pulled(&bench.ends_within(2 * MINUTE).await));
    bench.runtime.registry("big:2", registry.then_syncs(2000 * MINUTE));
    bench.perform(image(), pull("big:2"));
    let given_up = bench.ends_within(31 * MINUTE).await;
    assert!(says(&given_up, "not safely on the disk"), "{given_up:?}");
}

/// Synced by podman's host, not over the network: whoever pulls has its slot.
#[tokio::test(start_paused = true)]
async fn images_that_are_being_synced_hold_up_no_pull() {
    let mut bench = bench().await;
    for n in 1..=PULLS_AT_ONCE {
        let slow = Registry::has(Program::polite()).then_syncs(20 * MINUTE);
        bench.runtime.registry(&format!("big:{n}"), slow);
        bench.perform_for(&format!("slow-{n}"), image(), pull(&format!("big:{n}")));
    }
    pass(1).await;
    bench.runtime.registry("good:1", Registry::has(Program::polite()));
    bench.perform_for("good", image(), pull("good:1"));
    assert!(has_pulled(&bench.ends_within(Duration::from_secs(1)).await));
}

fn has_pulled(end: &Option<Outcome>) -> bool {
    matches!(end, Some(Ok(Effect::Pulled(_))))
}

impl Bench {
    /// Has the image with this id removed by this name.
    async fn remove_image(&self, id: &str, name: &str) -> Removed {
        let removal = Removal { id: id.into(), names: [name.to_owned()].into() };
        let removed = self.effects.ask(|reply| Message::RemoveImage(removal, reply), MINUTE).await;
        removed.expect("it is answered")
    }

    async fn id_of(&self, image: &str) -> String {
        self.runtime.image(image).await.unwrap().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_is_removed_by_its_names_and_never_by_one_that_is_another_ones_by_now() {
    let bench = bench().await;
    let former = bench.id_of("demo:1").await;
    bench.runtime.tag_image("demo:1", "kept:1");
    // A pull by hand moves the name.
    bench.runtime.add_image("demo:1");
    assert_eq!(bench.remove_image(&former, "demo:1").await, Removed::Kept);
    assert!(bench.runtime.has_image("demo:1"));
    assert_eq!(bench.remove_image(&former, "gone:1").await, Removed::Kept, "it has another name");
    assert_eq!(bench.remove_image(&former, "kept:1").await, Removed::Gone);
    assert_eq!(bench.remove_image(&former, "kept:1").await, Removed::Gone, "somebody was quicker");
}

#[tokio::test(start_paused = true)]
async fn a_removal_of_an_image_that_gets_no_turn_is_given_up_at_once() {
    let bench = bench().await;
    bench.runtime.hang(Op::RemoveNetwork);
    for deployment in ["web", "good"] {
        for n in 0..OPERATIONS_AT_ONCE / 2 {
            let lane = Lane::Slot(format!("s{n}").parse().unwrap());
            bench.perform_for(deployment, lane, Operation::RemoveNetwork("busy".into()));
        }
    }
    settle().await;
    let (id, begun) = (bench.id_of("demo:1").await, tokio::time::Instant::now());
    assert_eq!(bench.remove_image(&id, "demo:1").await, Removed::NotBegun);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    bench.runtime.release(Op::RemoveNetwork);
    pass(60).await;
    assert!(bench.runtime.has_image("demo:1"), "by now it may be needed");
}

#[cfg(debug_assertions)]
#[tokio::test(start_paused = true)]
async fn a_panic_in_the_removal_of_an_image_ends_no_operation() {
    let dir = tempfile::tempdir().unwrap();
    faults::look_in(dir.path());
    std::fs::write(dir.path().join("before:RemoveImage"), "panic").unwrap();
    let mut bench = bench().await;
    bench.runtime.registry("big:1", Registry::has_slowly(Program::polite(), 100, Duration::from_secs(1)));
    bench.perform(image(), pull("big:1"));
    let id = bench.id_of("demo:1").await;
    assert_eq!(bench.remove_image(&id, "demo:1").await, Removed::Kept);
    assert!(has_pulled(&bench.ends_within(2 * MINUTE).await));
    assert_eq!(bench.runtime.calls(Op::Pull), 1);
}
