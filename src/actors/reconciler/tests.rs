use super::*;
use crate::actors::tests::{Heard, device, document, pass, probe, run, settle, web};
use crate::domain::desired::Wanted;
use crate::domain::plan::Cause;
use crate::domain::time::Moment;
use crate::messages::reconcilers::Blinded;
use crate::supervision::{Root, worker};
use crate::vault::fake::FakeVault;
use std::sync::Arc;
use std::time::Duration;

struct Scene {
    root: Root,
    me: Address<Message>,
    clock: Clock,
    deployments: Heard<Deployments>,
    effects: Heard<Effects>,
    observer: Heard<Observer>,
}

async fn scene() -> Scene {
    let (deployments, effects, observer) = (Address::new(), Address::new(), Address::new());
    let (one, deployments_heard) = probe("deployments", &deployments);
    let (two, effects_heard) = probe("effects", &effects);
    let (three, observer_heard) = probe("observer", &observer);
    let (me, clock) = (Address::new(), Clock::start());
    let args = Args {
        device: device(),
        name: web(),
        deployments,
        effects,
        observer,
        clock,
        hold: None,
        vault: Arc::new(FakeVault::default()),
    };
    let root = run(vec![one, two, three, worker::<Reconciler>("me", "", args, me.clone())]).await;
    settle().await;
    let (deployments, effects, observer) = (deployments_heard, effects_heard, observer_heard);
    Scene { root, me, clock, deployments, effects, observer }
}

impl Scene {
    fn want(&self, image: &str, revision: u64) {
        let wanted = Wanted::read(&document(image), revision).unwrap();
        self.me.send(Message::Want(Arc::new(wanted)));
    }

    fn blind(&self) {
        let (why, retry_at) = ("the socket is gone".into(), self.clock.now() + Duration::from_secs(3));
        self.me.send(Message::Blinded(Blinded { why, retry_at }));
    }

    fn show(&self, begun: Moment, containers: Vec<Container>) {
        self.me.send(Message::Observed(Observation { begun, containers }));
    }

    /// What was asked of `effects` by now.
    fn jobs(&mut self) -> Vec<Operation> {
        self.effects.all().into_iter().filter_map(job).collect()
    }
}

fn job(message: Effects) -> Option<Operation> {
    match message {
        Effects::Perform(job) => Some(job.operation),
        _ => None,
    }
}

fn report(message: Deployments) -> Option<Report> {
    match message {
        Deployments::Child(_, ChildNews::Reports(report)) => Some(report),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_one_asks_what_to_do_what_is_there_and_what_is_being_done() {
    let mut scene = scene().await;
    for _ in 0..2 {
        let started = |m| matches!(m, Deployments::Child(_, ChildNews::Started)).then_some(());
        scene.deployments.next(started).await;
        scene.effects.next(|m| matches!(m, Effects::Attach { .. }).then_some(())).await;
        scene.observer.next(|m| matches!(m, Observer::Look(_)).then_some(())).await;
        scene.root.board().restart("me").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_before_it_is_told_what_and_has_seen_what_is_there() {
    let mut scene = scene().await;
    scene.show(scene.clock.now(), vec![]);
    pass(60).await;
    assert_eq!(scene.jobs(), [], "seen, not told");

    let mut other = self::scene().await;
    other.want("demo:1", 1);
    pass(60).await;
    assert_eq!(other.jobs(), [], "told, not seen");
    other.show(other.clock.now(), vec![]);
    assert!(matches!(other.effects.next(job).await, Operation::Create(_)));
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_left_alone_before_it_is_told_what_is_wanted() {
    let mut scene = scene().await;
    let container = Container {
        id: ContainerId::new("1"),
        name: "fleet-web.a".into(),
        deployment: web(),
        service: "a".parse().unwrap(),
        digest: None,
        depends_on: vec![],
        status: Status::Exited { code: 1 },
        secrets: None,
        image_id: None,
        started_at: None,
    };
    for _ in 0..5 {
        scene.show(scene.clock.now(), vec![container.clone()]);
        pass(60).await;
    }
    assert_eq!(scene.jobs(), []);
    scene.me.send(Message::Vanish);
    let removed = Operation::Remove { id: container.id, cause: Cause::Removed };
    assert_eq!(scene.effects.next(job).await, removed);
}

#[tokio::test(start_paused = true)]
async fn while_the_runtime_is_away_nothing_is_asked_of_it() {
    let mut scene = scene().await;
    scene.blind();
    scene.want("demo:1", 1);
    scene.show(scene.clock.now(), vec![]);
    assert!(matches!(scene.effects.next(job).await, Operation::Create(_)), "a look ends the blindness");
    scene.blind();
    let error = scene.deployments.next(|message| report(message)?.error).await;
    assert_eq!(error.code, fleet_contracts::state::Code::RuntimeUnreachable);
    assert!(error.retry_at.is_some(), "it says when it is looked at again");
}

#[tokio::test(start_paused = true)]
async fn an_equal_report_is_told_once_unless_it_is_asked_for_again() {
    let mut scene = scene().await;
    scene.want("demo:1", 1);
    scene.show(scene.clock.now(), vec![]);
    settle().await;
    scene.deployments.all();
    for _ in 0..10 {
        scene.me.send(Message::Tick);
    }
    settle().await;
    assert_eq!(scene.deployments.all().len(), 0);
    scene.me.send(Message::Retell);
    assert_eq!(scene.deployments.next(report).await.revision, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_is_looked_at_before_it_is_tried_again() {
    let mut scene = scene().await;
    scene.want("demo:1", 1);
    scene.show(scene.clock.now(), vec![]);
    scene.effects.next(job).await;
    scene.observer.all();
    let lost = Failure::Unknown { code: fleet_contracts::state::Code::Timeout, message: "?".into() };
    scene.me.send(Message::Ended(Lane::Slot("a".parse().unwrap()), Err(lost)));
    scene.observer.next(|m| matches!(m, Observer::Look(_)).then_some(())).await;
    pass(600).await;
    assert_eq!(scene.jobs(), []);
    scene.show(scene.clock.now(), vec![]);
    assert!(matches!(scene.effects.next(job).await, Operation::Create(_)));
}
