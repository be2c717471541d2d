use super::*;
use crate::actors::tests::{device, identity, pass, run, settle, web};
use crate::bus::fake::{Call, FakeBus};
use crate::supervision::worker;
use fleet_contracts::state::Phase;

struct Desk {
    bus: FakeBus,
    reporter: Address<Message>,
}

async fn desk() -> Desk {
    let (bus, reporter) = (FakeBus::new(), Address::new());
    let args = Args {
        identity: identity(),
        bus: Arc::new(bus.clone()),
        deployments: Address::new(),
        observer: Address::new(),
        labels: BTreeMap::new(),
        inventory: crate::inventory::read(std::path::Path::new("/")),
        config_digest: String::new(),
    };
    run(vec![worker::<Reporter>("reporter", "", args, reporter.clone())]).await;
    Desk { bus, reporter }
}

impl Desk {
    fn tell(&self, phase: Phase) {
        self.reporter.send(Message::State(Box::new(state(phase))));
    }

    fn published(&self) -> Option<Phase> {
        let document = self.bus.get_raw(DEVICE_STATE, "state.d1.web")?;
        Encoding::Json.decode::<DeploymentState>(&document).ok().map(|state| state.phase)
    }

    fn puts(&self) -> usize {
        self.bus.journal().iter().filter(|call| *call == "put device-state/state.d1.web").count()
    }
}

fn state(phase: Phase) -> DeploymentState {
    DeploymentState {
        device_id: device(),
        deployment: web(),
        phase,
        last_event_at: Timestamp::now(),
        last_error: None,
        container_ids: BTreeMap::new(),
        observed_revision: Some(1),
        spec_digest: None,
        warnings: vec![],
        services: BTreeMap::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn offline_only_the_latest_state_is_kept() {
    let desk = desk().await;
    for phase in [Phase::Pending, Phase::Pulling, Phase::Starting, Phase::Running] {
        desk.tell(phase);
        pass(60).await;
    }
    desk.bus.connect();
    settle().await;
    assert_eq!((desk.published(), desk.puts()), (Some(Phase::Running), 1));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_the_bucket_holds_is_not_written_again() {
    let desk = desk().await;
    desk.bus.put_raw(DEVICE_STATE, "state.d1.web", Encoding::Json.encode(&state(Phase::Running)).unwrap());
    desk.tell(Phase::Running);
    desk.bus.connect();
    pass(60).await;
    assert_eq!(desk.puts(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_was_written_although_its_answer_was_lost_is_not_believed_to_be_unwritten() {
    let desk = desk().await;
    desk.bus.connect();
    desk.tell(Phase::Running);
    settle().await;
    desk.bus.lose_next_answer(Call::Put);
    desk.tell(Phase::Degraded);
    settle().await;
    desk.tell(Phase::Running);
    pass(120).await;
    assert_eq!(desk.published(), Some(Phase::Running));
}

#[tokio::test(start_paused = true)]
async fn what_to_keep_may_be_known_before_the_bucket_is_read() {
    let desk = desk().await;
    desk.bus.put_raw(DEVICE_STATE, "state.d1.web", "{}");
    desk.bus.put_raw(DEVICE_STATE, "state.d1.ghost", "what an old agent wrote");
    desk.reporter.send(Message::Keep([web()].into()));
    settle().await;
    desk.bus.connect();
    settle().await;
    assert_eq!(desk.bus.keys(DEVICE_STATE), ["state.d1.web"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_after_that_is_kept_too() {
    let desk = desk().await;
    desk.bus.put_raw(DEVICE_STATE, "state.d1.web", Encoding::Json.encode(&state(Phase::Running)).unwrap());
    desk.reporter.send(Message::Keep(BTreeSet::new()));
    desk.tell(Phase::Running);
    settle().await;
    desk.bus.connect();
    pass(60).await;
    assert_eq!(desk.published(), Some(Phase::Running));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_refuses_is_tried_with_a_growing_wait() {
    let desk = desk().await;
    desk.bus.connect();
    settle().await;
    for _ in 0..200 {
        desk.bus.fail_next(Call::Put, ErrorKind::Refused);
    }
    desk.tell(Phase::Running);
    pass(600).await;
    assert!((10..=30).contains(&desk.puts()), "{} puts in ten minutes", desk.puts());
}

#[tokio::test(start_paused = true)]
async fn what_a_second_look_found_does_not_undo_what_was_sent_since_the_first() {
    let desk = desk().await;
    desk.tell(Phase::Pending);
    desk.bus.connect();
    settle().await;
    assert_eq!(desk.published(), Some(Phase::Pending));
    desk.bus.disconnect();
    settle().await;
    desk.tell(Phase::Running);
    let entry = crate::domain::source::Entry {
        key: "state.d1.web".into(),
        revision: 1,
        written_at: Timestamp::now(),
        operation: crate::domain::source::Operation::Put(
            Encoding::Json.encode(&state(Phase::Running)).unwrap().into(),
        ),
    };
    let incarnation = crate::domain::source::Incarnation("old".into());
    let late = Snapshot { incarnation, last_sequence: 1, entries: vec![entry] };
    desk.reporter.send(Message::Found(Ok(late)));
    desk.bus.connect();
    settle().await;
    assert_eq!(desk.published(), Some(Phase::Running));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_delays_no_other() {
    let desk = desk().await;
    desk.bus.connect();
    settle().await;
    desk.bus.refuse(Some("device-state/state.d1.web"));
    desk.tell(Phase::Running);
    pass(600).await;
    let tried = desk.puts();
    assert!((10..=30).contains(&tried), "{tried} puts in ten minutes");
    let shop = DeploymentState { deployment: "shop".parse().unwrap(), ..state(Phase::Running) };
    desk.reporter.send(Message::State(Box::new(shop)));
    settle().await;
    assert!(desk.bus.get_raw(DEVICE_STATE, "state.d1.shop").is_some());
    desk.bus.refuse(None);
    pass(60).await;
    assert_eq!(desk.published(), Some(Phase::Running));
}
