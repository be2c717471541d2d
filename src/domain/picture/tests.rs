use super::*;
use crate::domain::container::{Process, SpecDigest};
use crate::domain::health::Verdict;
use fleet_contracts::names::Role;
use std::time::Duration;

const EVEN: Dice = Dice(0.5);

fn at(second: u64) -> Moment {
    Moment::from_start(Duration::from_secs(second))
}

fn service() -> ServiceName {
    "a".parse().unwrap()
}

fn slot() -> Lane {
    Lane::Slot(service())
}

/// One service `a`, wanted, looked at, nothing there yet.
fn picture() -> Picture {
    let document = br#"{"type": "PodmanV0", "data": {"services": [{"name": "a", "image": "demo:1"}]}}"#;
    let mut picture = Picture::new("web".parse().unwrap(), at(1));
    picture.want(Arc::new(Wanted::read(document, 1).unwrap()));
    picture.observed(at(1), vec![], at(1), EVEN);
    picture
}

fn begin(picture: &mut Picture) -> Asked {
    picture.begun(slot(), &Action::Create(Role::Main));
    picture.asked()
}

/// A container of the wanted digest in the slot.
fn container(picture: &Picture, status: Status) -> Container {
    Container {
        id: ContainerId::new("1"),
        name: "fleet-web.a".into(),
        deployment: "web".parse().unwrap(),
        service: service(),
        digest: picture.target(&service()).map(|target| target.digest.clone()),
        depends_on: vec![],
        status,
        secrets: None,
        image_id: None,
        started_at: None,
    }
}

/// A start whose outcome is this, at second 2.
fn start(picture: &mut Picture, status: Status) {
    let container = container(picture, status);
    picture.begun(slot(), &Action::Start(container.id.clone()));
    picture.became(&slot(), container, at(2), EVEN);
}

/// A service with a check, which runs and has just failed it.
fn ill() -> (Picture, Wanted, OwedStart) {
    let document = br#"{"type": "PodmanV0", "data": {"services": [{"name": "a", "image": "demo:1",
        "restart": "on-failure", "healthcheck": {"test": ["CMD", "check"], "retries": 1, "interval_s": 1}}]}}"#;
    let wanted = Wanted::read(document, 1).unwrap();
    let mut picture = picture();
    picture.want(Arc::new(wanted.clone()));
    let process = crate::domain::container::Process { pid: 1, start_ticks: 1 };
    let started_at = fleet_contracts::Timestamp::from_unix_seconds(1);
    let container = Container { started_at, ..container(&picture, Status::Running(process)) };
    let start = OwedStart::after(&container).unwrap();
    picture.observed(at(1), vec![container], at(1), EVEN);
    picture.checked(&service(), process, Verdict::Failed(String::new()), at(60), EVEN);
    (picture, wanted, start)
}

#[test]
fn what_is_ill_is_stopped_when_its_note_is_durable_or_the_disk_does_not_answer() {
    let (mut picture, mut wanted, start) = ill();
    let stop = Step::Do(Action::Stop { id: start.id.clone(), cause: Cause::Unhealthy });
    assert_eq!(picture.steps(at(400)), [(service(), Step::Wait(None))]);
    assert_eq!(picture.take_notes(at(400)), [(service(), Some(start.clone()))]);
    assert_eq!(picture.take_notes(at(401)), [], "asked once");
    assert_eq!(picture.steps(at(409)), [(service(), Step::Wait(Some(at(410))))]);
    assert_eq!(picture.steps(at(410)), [(service(), stop.clone())]);
    wanted.owed.insert(service(), start);
    picture.want(Arc::new(wanted));
    assert_eq!(picture.steps(at(402)), [(service(), stop)]);
}

/// Else the end of its work, days later, would be taken for that of the stop which never came.
#[test]
fn the_note_of_a_run_that_became_well_is_taken_back() {
    let (mut picture, mut wanted, start) = ill();
    wanted.owed.insert(service(), start);
    picture.want(Arc::new(wanted));
    assert_eq!(picture.take_notes(at(61)), []);
    let process = crate::domain::container::Process { pid: 1, start_ticks: 1 };
    picture.checked(&service(), process, Verdict::Passed, at(62), EVEN);
    assert_eq!(picture.take_notes(at(62)), [(service(), None)]);
}

#[test]
fn an_answer_about_lanes_says_nothing_of_what_was_asked_for_after_the_question() {
    let mut picture = picture();
    let question = picture.asked();
    begin(&mut picture);
    assert!(!picture.attached(vec![], question, at(2)));
    assert!(picture.is_busy());
}

#[test]
fn an_operation_whose_end_was_missed_frees_its_lane_and_asks_for_a_look() {
    let mut picture = picture();
    let asked = begin(&mut picture);
    assert!(picture.attached(vec![], asked, at(2)));
    assert_eq!(picture.steps(at(2)), [(service(), Step::Wait(None))], "nothing before the look");
    picture.observed(at(3), vec![], at(3), EVEN);
    assert_eq!(picture.steps(at(3)), [(service(), Step::Do(Action::Create(Role::Main)))]);
}

#[test]
fn a_look_that_began_before_an_operation_ended_is_stale() {
    let mut picture = picture();
    begin(&mut picture);
    let digest = picture.target(&service()).unwrap().digest.clone();
    let (id, name) = (ContainerId::new("1"), "fleet-web.a".into());
    picture.created(&slot(), Made { id, name, digest, secrets: None }, at(3), EVEN);
    picture.observed(at(2), vec![], at(4), EVEN);
    assert!(matches!(picture.steps(at(4))[..], [(_, Step::Do(Action::Start(_)))]));
}

#[test]
fn an_operation_that_a_former_incarnation_asked_for_is_found_and_waited_for() {
    let mut picture = picture();
    picture.attached(vec![slot()], picture.asked(), at(2));
    assert_eq!(picture.steps(at(2)), [(service(), Step::Wait(None))]);
}

#[test]
fn a_container_that_died_before_anybody_saw_it_alive_waits_like_any_other() {
    let mut picture = picture();
    for _ in 0..3 {
        start(&mut picture, Status::Exited { code: 1 });
    }
    assert_eq!(picture.steps(at(2)), [(service(), Step::Wait(Some(at(4))))]);
}

#[test]
fn a_crash_loop_that_seems_over_asks_for_one_look_and_no_alarm_in_the_past() {
    let mut picture = picture();
    for _ in 0..3 {
        start(&mut picture, Status::Exited { code: 1 });
    }
    start(&mut picture, Status::Running(Process { pid: 1, start_ticks: 1 }));
    let wake_at = |now| picture.wake_at(&picture.steps(now), now);
    assert_eq!((wake_at(at(3)), picture.wants_a_look(at(3))), (Some(at(12)), false));
    assert_eq!((wake_at(at(12)), picture.wants_a_look(at(12))), (None, true));
}

#[test]
fn after_an_operation_of_a_former_incarnation_nothing_is_planned_before_a_look() {
    let mut picture = picture();
    picture.attached(vec![slot()], picture.asked(), at(2));
    picture.cleared(&slot(), at(3), |_| ());
    assert!(picture.is_unsure(&slot()));
    assert_eq!(picture.steps(at(3)), [(service(), Step::Wait(None))]);
    picture.observed(at(3), vec![], at(4), EVEN);
    assert_eq!(picture.steps(at(4)), [(service(), Step::Do(Action::Create(Role::Main)))]);
}

#[test]
fn a_look_that_began_before_this_incarnation_shows_nothing() {
    let mut picture = Picture::new("web".parse().unwrap(), at(5));
    picture.observed(at(4), vec![], at(6), EVEN);
    assert!(!picture.is_empty());
    picture.observed(at(5), vec![], at(6), EVEN);
    assert!(picture.is_empty());
}

#[test]
fn a_network_that_cannot_be_removed_is_tried_again_by_the_backoff_and_told() {
    let mut picture = picture();
    picture.vanish();
    for _ in 0..3 {
        picture.observed(at(1), vec![], at(1), EVEN);
        picture.network_removal_begun();
        let setback = Setback { code: Code::Start, message: String::new(), unsure: false };
        picture.failed(&Lane::Network, setback, at(1), EVEN);
    }
    let told = picture.tell(&picture.steps(at(1)), |_, phase, complaint| (phase, complaint));
    assert_eq!(told.0, Phase::Stopping);
    let trouble = told.1.map(|complaint| complaint.trouble);
    assert_eq!(trouble.map(|trouble| (trouble.code, trouble.retry_at)), Some((Code::Start, Some(at(3)))));
    assert!(!picture.wants_network_removed(at(2)));
    assert_eq!(picture.wake_at(&picture.steps(at(1)), at(1)), Some(at(3)));
    assert!(picture.wants_network_removed(at(3)));
}

#[test]
fn trouble_with_an_operation_that_happened_all_the_same_ends_with_the_look() {
    let mut picture = picture();
    begin(&mut picture);
    let lost = Setback { code: Code::Timeout, message: "the answer was lost".into(), unsure: true };
    picture.failed(&slot(), lost, at(2), EVEN);
    assert!(picture.slot(&service()).memory.trouble.is_some());
    let container = container(&picture, Status::Created);
    picture.observed(at(3), vec![container], at(3), EVEN);
    assert_eq!(picture.slot(&service()).memory.trouble, None);
}

#[test]
fn a_stop_that_somebody_began_is_left_alone_for_a_while_and_brought_to_its_end_then() {
    let mut picture = picture();
    let process = Process { pid: 1, start_ticks: 1 };
    let stopping = container(&picture, Status::Stopping(process));
    picture.observed(at(20), vec![stopping.clone()], at(20), EVEN);
    assert_eq!(picture.steps(at(20)), [(service(), Step::Wait(Some(at(30))))]);
    picture.observed(at(29), vec![stopping.clone()], at(29), EVEN);
    assert_eq!(picture.steps(at(29)), [(service(), Step::Wait(Some(at(30))))]);
    let stop = Action::Stop { id: stopping.id.clone(), cause: Cause::HalfStopped };
    assert_eq!(picture.steps(at(30)), [(service(), Step::Do(stop))]);
    // It was started again, and another stop of it begins.
    picture.observed(at(31), vec![container(&picture, Status::Running(process))], at(31), EVEN);
    picture.observed(at(40), vec![stopping], at(40), EVEN);
    assert_eq!(picture.steps(at(40)), [(service(), Step::Wait(Some(at(50))))]);
}
#[test]
fn a_container_that_runs_again_after_a_stop_that_was_brought_to_its_end_is_not_stopped_once_more() {
    let mut picture = picture();
    let process = Process { pid: 1, start_ticks: 1 };
    let old = Container {
        digest: Some(SpecDigest::from_hex("old")),
        ..container(&picture, Status::Stopping(process))
    };
    picture.begun(Lane::Image(service()), &Action::Pull);
    picture.observed(at(20), vec![old.clone()], at(20), EVEN);
    let stop = Action::Stop { id: old.id.clone(), cause: Cause::HalfStopped };
    assert_eq!(picture.steps(at(30)), [(service(), Step::Do(stop.clone()))]);
    picture.begun(slot(), &stop);
    let ended = Container { status: Status::Exited { code: 137 }, ..old.clone() };
    picture.cleared(&slot(), at(60), |known| _ = known.insert(ended.id.clone(), Box::new(ended)));
    let start = Action::Start(old.id.clone());
    assert_eq!(
        picture.steps(at(60)),
        [(service(), Step::Do(start.clone()))],
        "its successor is not here yet"
    );
    picture.begun(slot(), &start);
    picture.became(&slot(), Container { status: Status::Running(process), ..old }, at(61), EVEN);
    assert_eq!(picture.steps(at(61)), [(service(), Step::Wait(None))]);
}

/// Its exit looks like the end of its work, and is that of the stop.
#[test]
fn what_is_wanted_again_while_it_is_stopped_for_its_removal_is_started_again() {
    for restart in ["on-failure", "never"] {
        let document = format!(
            r#"{{"type": "PodmanV0", "data": {{"services": [{{"name": "a", "image": "demo:1", "restart": "{restart}"}}]}}}}"#
        );
        let wanted = Arc::new(Wanted::read(document.as_bytes(), 1).unwrap());
        let mut picture = picture();
        picture.want(wanted.clone());
        let process = Process { pid: 1, start_ticks: 1 };
        let running = container(&picture, Status::Running(process));
        picture.observed(at(2), vec![running.clone()], at(2), EVEN);
        picture.vanish();
        let stop = Action::Stop { id: running.id.clone(), cause: Cause::Removed };
        assert_eq!(picture.steps(at(3)), [(service(), Step::Do(stop.clone()))]);
        picture.begun(slot(), &stop);
        picture.want(wanted);
        let ended = Container { status: Status::Exited { code: 0 }, ..running.clone() };
        picture.cleared(&slot(), at(9), |known| _ = known.insert(ended.id.clone(), Box::new(ended)));
        picture.seen_anew(at(9), EVEN);
        let steps = picture.steps(at(9));
        assert_eq!(steps, [(service(), Step::Do(Action::Start(running.id)))], "{restart}");
        assert_eq!(picture.slots[&service()].memory.end(), None, "{restart}");
    }
}

/// The removal of its network was under way, and its end comes late.
#[test]
fn what_becomes_of_a_former_removal_of_the_network_says_nothing_of_a_deployment_that_is_wanted_again() {
    let document = br#"{"type": "PodmanV0", "data": {"services": [{"name": "a", "image": "demo:1"}]}}"#;
    let wanted = Arc::new(Wanted::read(document, 1).unwrap());
    let vanishing = || {
        let mut picture = picture();
        picture.vanish();
        assert!(picture.wants_network_removed(at(2)));
        picture.network_removal_begun();
        picture.want(wanted.clone());
        picture
    };
    let mut refused = vanishing();
    let setback = Setback { code: Code::RuntimeUnreachable, message: "cut off".into(), unsure: true };
    refused.failed(&Lane::Network, setback, at(3), EVEN);
    assert_eq!(refused.network_trouble, None);
    let mut removed = vanishing();
    removed.network_removed(at(3));
    removed.vanish();
    assert!(!removed.is_gone(), "it was made again for what was wanted in between");
}

mod converges;

#[test]
fn a_pull_that_fails_when_another_image_is_wanted_already_says_nothing_of_that_one() {
    let mut picture = picture();
    let document = |image: &str, mark: u64| {
        let service = format!(r#"{{"name": "a", "image": "{image}", "env": {{"MARK": "{mark}"}}}}"#);
        let text = format!(r#"{{"type": "PodmanV0", "data": {{"services": [{service}]}}}}"#);
        Arc::new(Wanted::read(text.as_bytes(), mark).unwrap())
    };
    let lane = Lane::Image(service());
    let fails = |picture: &mut Picture| {
        let setback = Setback { code: Code::ImagePull, message: "why".into(), unsure: false };
        picture.failed(&lane, setback, at(2), EVEN);
        picture.slots[&service()].memory.trouble.is_some()
    };
    picture.begun(lane.clone(), &Action::Pull);
    picture.want(document("demo:2", 2));
    assert!(!fails(&mut picture));
    picture.begun(lane.clone(), &Action::Pull);
    picture.want(document("demo:2", 3));
    assert!(fails(&mut picture), "the same image");
}
