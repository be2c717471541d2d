use super::*;
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
    let mut picture = Picture::new("web".parse().unwrap());
    picture.want(Arc::new(Wanted::read(document, 1).unwrap()));
    picture.observed(at(1), vec![], at(1), EVEN);
    picture
}

fn begin(picture: &mut Picture) -> Asked {
    picture.begun(slot(), &Action::Create(Role::Main));
    picture.asked()
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
    picture.created(&slot(), ContainerId::new("1"), "fleet-web.a".into(), digest, at(3), EVEN);
    picture.observed(at(2), vec![], at(4), EVEN);
    assert!(matches!(picture.steps(at(4))[..], [(_, Step::Do(Action::Start(_)))]));
}

#[test]
fn an_operation_that_a_former_incarnation_asked_for_is_found_and_waited_for() {
    let mut picture = picture();
    picture.attached(vec![slot()], picture.asked(), at(2));
    assert_eq!(picture.steps(at(2)), [(service(), Step::Wait(None))]);
}
