use super::*;
use crate::domain::backoff::Dice;
use crate::domain::container::{Process, SpecDigest};
use crate::domain::jobs::End;
use crate::domain::memory::{About, Image};
use fleet_contracts::desired::{Lifecycle, Pull, Restart, parse};
use fleet_contracts::state::Code;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Moment = Moment::from_start(Duration::from_secs(1000));

fn target(digest: &str) -> Target {
    let document = br#"{"type": "PodmanV0", "data": {"services": [{"name": "web", "image": "image"}]}}"#;
    let service = parse(document).unwrap().deployment.services.remove(0);
    Target { service, lifecycle: Lifecycle::default(), digest: SpecDigest::from_hex(digest) }
}

fn container(id: &str, digest: &str, status: Status) -> Container {
    Container {
        id: ContainerId::new(id),
        name: id.into(),
        deployment: "shop".parse().unwrap(),
        service: "web".parse().unwrap(),
        digest: Some(SpecDigest::from_hex(digest)),
        depends_on: vec![],
        status,
        secrets: None,
        image_id: None,
        started_at: None,
    }
}

const ALIVE: Status = Status::Running(Process { pid: 7, start_ticks: 7 });
const DEAD: Status = Status::Exited { code: 1 };

fn step(target: &Target, view: &View) -> Step {
    plan(target, view, &Memory::default(), Gate::OPEN, NOW)
}

fn id(text: &str) -> ContainerId {
    ContainerId::new(text)
}

#[test]
fn an_empty_slot_gets_a_container_under_its_own_name() {
    assert_eq!(step(&target("new"), &View::default()), Step::Do(Action::Create(Role::Main)));
}

#[test]
fn a_healthy_container_of_the_wanted_digest_is_left_alone() {
    let view = View { main: Some(container("a", "new", ALIVE)), ..View::default() };
    assert_eq!(step(&target("new"), &view), Step::Done(Rest::Running));
}

#[test]
fn a_replace_prepares_the_successor_before_anything_happens_to_the_old() {
    let view = View { main: Some(container("a", "old", ALIVE)), ..View::default() };
    assert_eq!(step(&target("new"), &view), Step::Do(Action::Create(Role::Next)));
}

#[test]
fn a_replace_never_stops_the_old_while_the_image_is_missing() {
    let view = View { main: Some(container("a", "old", ALIVE)), ..View::default() };
    let mut memory = with_image(Image::Missing);
    assert_eq!(plan(&target("new"), &view, &memory, Gate::OPEN, NOW), Step::Do(Action::Pull));
    memory.prepare_failed(Code::ImagePull, "no route".into(), NOW, Dice(0.5));
    memory.prepare_failed(Code::ImagePull, "no route".into(), NOW, Dice(0.5));
    assert!(matches!(plan(&target("new"), &view, &memory, Gate::OPEN, NOW), Step::Wait(Some(_))));
}

#[test]
fn the_names_are_swapped_then_the_old_is_stopped_then_the_new_started_then_the_old_removed() {
    let want = target("new");
    let mut view = View {
        main: Some(container("a", "old", ALIVE)),
        next: Some(container("b", "new", Status::Created)),
        ..View::default()
    };
    assert_eq!(step(&want, &view), Step::Do(Action::Rename { id: id("a"), to: Role::Old }));
    view.others.extend(view.main.take());
    assert_eq!(step(&want, &view), Step::Do(Action::Rename { id: id("b"), to: Role::Main }));
    view.main = view.next.take();
    assert_eq!(step(&want, &view), Step::Do(Action::Stop { id: id("a"), cause: Cause::Changed }));
    view.others[0].status = DEAD;
    assert_eq!(step(&want, &view), Step::Do(Action::Start(id("b"))));
    view.main = Some(container("b", "new", ALIVE));
    assert_eq!(step(&want, &view), Step::Do(Action::Remove { id: id("a"), cause: Cause::Dead }));
    view.others.clear();
    assert_eq!(step(&want, &view), Step::Done(Rest::Running));
}

#[test]
fn a_document_that_goes_back_keeps_the_old_container_that_still_runs() {
    let view = View {
        main: Some(container("b", "new", Status::Created)),
        others: vec![container("a", "old", ALIVE)],
        ..View::default()
    };
    assert_eq!(step(&target("old"), &view), Step::Do(Action::Remove { id: id("b"), cause: Cause::Unused }));
    let view = View { main: None, ..view };
    assert_eq!(step(&target("old"), &view), Step::Do(Action::Rename { id: id("a"), to: Role::Main }));
}

#[test]
fn the_old_container_is_repaired_while_its_successor_cannot_be_prepared() {
    let view = View { main: Some(container("a", "old", DEAD)), ..View::default() };
    let memory = with_image(Image::Pulling);
    assert_eq!(plan(&target("new"), &view, &memory, Gate::OPEN, NOW), Step::Do(Action::Start(id("a"))));
}

#[test]
fn a_container_that_podman_wrongly_calls_running_is_removed_and_made_anew() {
    let view = View { main: Some(container("a", "new", Status::Lying)), ..View::default() };
    assert_eq!(step(&target("new"), &view), Step::Do(Action::Remove { id: id("a"), cause: Cause::Dead }));
}

#[test]
fn a_container_that_somebody_is_stopping_is_not_touched() {
    let view = View {
        main: Some(container("a", "new", Status::Stopping(Process { pid: 7, start_ticks: 7 }))),
        ..View::default()
    };
    assert_eq!(step(&target("new"), &view), Step::Wait(None));
    assert_eq!(vacate(&view, Cause::Removed), Step::Wait(None));
}

#[test]
fn an_exit_is_retried_by_the_backoff_and_not_before() {
    let want = target("new");
    let mut view = View { main: Some(container("a", "new", ALIVE)), ..View::default() };
    let mut memory = Memory::default();
    for _ in 0..2 {
        view.main = Some(container("a", "new", ALIVE));
        memory.observe(&want, &view, NOW, Dice(0.5));
        view.main = Some(container("a", "new", DEAD));
        memory.observe(&want, &view, NOW, Dice(0.5));
    }
    assert_eq!(plan(&want, &view, &memory, Gate::OPEN, NOW), Step::Wait(Some(NOW + Duration::from_secs(1))));
    let later = NOW + Duration::from_secs(1);
    assert_eq!(plan(&want, &view, &memory, Gate::OPEN, later), Step::Do(Action::Start(id("a"))));
}

#[test]
fn a_job_that_ended_is_not_run_again() {
    for status in [Status::Ended { code: 3 }, Status::Exited { code: 3 }] {
        let mut want = target("new");
        want.service.restart = Restart::Never;
        let view = View { main: Some(container("a", "new", status)), ..View::default() };
        assert_eq!(step(&want, &view), Step::Done(Rest::Exited { code: 3 }));
        want.service.restart = Restart::OnFailure;
        assert_eq!(step(&want, &view), Step::Do(Action::Start(id("a"))));
    }
}

fn done(target: &Target) -> Memory {
    let end = End { digest: target.digest.clone(), code: 3, said: None };
    let mut memory = Memory::default();
    memory.recall(target, Some(&end));
    memory
}

fn job(digest: &str) -> Target {
    let mut job = target(digest);
    job.service.restart = Restart::Never;
    job
}

#[test]
fn a_job_that_was_done_is_not_made_or_started_again() {
    let forgotten = container("a", "new", Status::Created);
    for main in [None, Some(forgotten.clone())] {
        let view = View { main, ..View::default() };
        let done_with = |memory: &Memory| plan(&job("new"), &view, memory, Gate::OPEN, NOW);
        assert_eq!(done_with(&done(&job("new"))), Step::Done(Rest::Exited { code: 3 }));
        assert!(matches!(done_with(&done(&job("other"))), Step::Do(Action::Create(_) | Action::Start(_))));
    }
    // Another policy is another spec; a container of another spec is started by nobody's note.
    let view = View { main: Some(forgotten), ..View::default() };
    let start = Step::Do(Action::Start(id("a")));
    assert_eq!(plan(&target("new"), &view, &done(&target("new")), Gate::OPEN, NOW), start);
    assert_eq!(keep(&job("other"), &view, &done(&job("other")), NOW), start);
}

#[test]
fn what_has_just_ended_is_started_again_before_its_cleanup_but_no_successor_is() {
    let ended = |name: &str, digest: &str| container(name, digest, Status::Ended { code: 1 });
    let wanted = View { main: Some(ended("a", "new")), ..View::default() };
    assert_eq!(step(&target("new"), &wanted), Step::Do(Action::Start(id("a"))));
    let cleaned_up = |id: ContainerId| Step::Do(Action::Stop { id, cause: Cause::Changed });
    let next = container("b", "new", Status::Created);
    let outdated = View { main: Some(ended("a", "old")), next: Some(next.clone()), ..View::default() };
    assert_eq!(step(&target("new"), &outdated), cleaned_up(id("a")));
    let outgoing = View { main: Some(next), others: vec![ended("a", "old")], ..View::default() };
    assert_eq!(step(&target("new"), &outgoing), cleaned_up(id("a")));
}

#[test]
fn a_pull_policy_of_always_pulls_before_a_create_and_never_does_not_pull() {
    let mut want = target("new");
    want.service.pull = Pull::Always;
    assert_eq!(step(&want, &View::default()), Step::Do(Action::Pull));
    want.service.pull = Pull::Never;
    let memory = with_image(Image::Missing);
    assert_eq!(plan(&want, &View::default(), &memory, Gate::OPEN, NOW), Step::Do(Action::Create(Role::Main)));
}

#[test]
fn a_foreign_container_with_our_name_is_looked_at_again_only_at_the_next_tick() {
    let mut memory = Memory::default();
    memory.name_conflict(About::Preparing, "taken".into());
    assert_eq!(plan(&target("new"), &View::default(), &memory, Gate::OPEN, NOW), Step::Wait(None));
    memory.tick();
    assert_eq!(
        plan(&target("new"), &View::default(), &memory, Gate::OPEN, NOW),
        Step::Do(Action::Create(Role::Main))
    );
}

#[test]
fn what_lacks_its_files_is_never_taken_for_the_wanted_one() {
    let want = target("new");
    for status in [Status::Created, DEAD, Status::Lying] {
        let draft = Some(container("d", "new", status));
        let gone = Step::Do(Action::Remove { id: id("d"), cause: Cause::Unfinished });
        assert_eq!(step(&want, &View { draft: draft.clone(), ..View::default() }), gone);
        let main = Some(container("a", "new", DEAD));
        assert_eq!(step(&want, &View { draft, main, ..View::default() }), gone);
    }
    // Somebody started it by hand.
    let draft = Some(container("d", "new", ALIVE));
    let stopped = Step::Do(Action::Stop { id: id("d"), cause: Cause::Unfinished });
    assert_eq!(step(&want, &View { draft, ..View::default() }), stopped);
}

/// A world of one slot that carries out what the planner says.
#[derive(Debug, Clone)]
struct World {
    view: View,
    created: u32,
}

impl World {
    fn role(&mut self, role: Role, container: Container) {
        match role {
            Role::Main => assert!(self.view.main.replace(container).is_none(), "the name was taken"),
            Role::Next => assert!(self.view.next.replace(container).is_none(), "the name was taken"),
            Role::Old => self.view.others.push(container),
            Role::Draft => panic!("a draft is the create's own matter"),
        }
    }

    fn take(&mut self, wanted: &ContainerId) -> Container {
        let here = |slot: &mut Option<Container>| slot.take_if(|c| c.id == *wanted);
        let named = here(&mut self.view.main).or_else(|| here(&mut self.view.next));
        let named = named.or_else(|| here(&mut self.view.draft));
        named.unwrap_or_else(|| {
            let at = self.view.others.iter().position(|c| c.id == *wanted).expect("planned for what is seen");
            self.view.others.remove(at)
        })
    }

    fn set(&mut self, wanted: &ContainerId, status: Status) {
        let mut all = self.view.others.iter_mut().chain(&mut self.view.main).chain(&mut self.view.next);
        let mut all = all.by_ref().chain(&mut self.view.draft);
        all.find(|c| c.id == *wanted).expect("planned for what is seen").status = status;
    }

    fn live(&self) -> usize {
        self.view.all().chain(&self.view.draft).filter(|c| c.status.is_alive()).count()
    }

    fn apply(&mut self, action: Action, target: &Target) {
        match action {
            Action::Pull => panic!("no image is missing here"),
            Action::Create(role) => {
                self.created += 1;
                let made =
                    container(&format!("made{}", self.created), target.digest.as_str(), Status::Created);
                self.role(role, made);
            }
            Action::Rename { id, to } => {
                let renamed = self.take(&id);
                self.role(to, renamed);
            }
            Action::Stop { id, .. } => self.set(&id, Status::Exited { code: 143 }),
            Action::Unpause(id) => self.set(&id, ALIVE),
            Action::Start(id) => {
                self.set(&id, ALIVE);
                let is_in_the_way = |other: &&Container| other.id != id && !other.status.made_way();
                assert_eq!(self.view.all().filter(is_in_the_way).count(), 0, "started beside another");
            }
            Action::Remove { id, .. } => {
                assert!(self.take(&id).status.made_way(), "removed before its end and its cleanup");
            }
        }
    }
}

#[test]
fn a_paused_container_goes_on_whether_it_is_wanted_outdated_or_leaving() {
    let paused = |digest| View { main: Some(container("a", digest, Status::Paused)), ..View::default() };
    let go_on = Step::Do(Action::Unpause(id("a")));
    assert_eq!(step(&target("new"), &paused("new")), go_on);
    assert_eq!(vacate(&paused("new"), Cause::Removed), go_on);
    let mut memory = with_image(Image::Missing);
    memory.prepare_failed(Code::ImagePull, "no route".into(), NOW, Dice(0.5));
    memory.prepare_failed(Code::ImagePull, "no route".into(), NOW, Dice(0.5));
    assert_eq!(plan(&target("new"), &paused("old"), &memory, Gate::OPEN, NOW), go_on);
}

fn any_status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(ALIVE),
        Just(DEAD),
        Just(Status::Ended { code: 1 }),
        Just(Status::Created),
        Just(Status::Lying),
        Just(Status::Paused),
        Just(Status::Exited { code: 0 })
    ]
}

fn any_container(id: &'static str) -> impl Strategy<Value = Container> {
    (prop_oneof![Just("old"), Just("new"), Just("other")], any_status())
        .prop_map(move |(digest, status)| container(id, digest, status))
}

prop_compose! {
    fn any_view()(
        main in proptest::option::of(any_container("m")),
        next in proptest::option::of(any_container("n")),
        old in proptest::option::of(any_container("o")),
        stray in proptest::option::of(any_container("s")),
        draft in proptest::option::of(any_container("d")),
    ) -> View {
        View { main, next, others: old.into_iter().chain(stray).collect(), draft }
    }
}

proptest! {
    #[test]
    fn from_any_state_the_slot_converges_and_never_gains_a_second_live_container(view in any_view()) {
        let want = target("new");
        let mut world = World { view, created: 0 };
        let healthy = |view: &View| view.main.as_ref().filter(|m| m.status == ALIVE && want.digest_is(m)).map(|m| m.id.clone());
        let untouched = healthy(&world.view);
        for _ in 0..20 {
            match step(&want, &world.view) {
                Step::Do(action) => {
                    if let Action::Stop { id, .. } = &action {
                        prop_assert_ne!(Some(id), untouched.as_ref(), "stopped what was healthy and wanted");
                    }
                    let before = world.live();
                    if let Action::Start(id) = &action {
                        prop_assert!(id.as_str() != "d", "a draft lacks its files");
                        prop_assert_eq!(before, 0, "started beside a live one");
                    }
                    world.apply(action, &want);
                    prop_assert!(world.live() <= before.max(1));
                }
                Step::Done(rest) => {
                    prop_assert_eq!(rest, Rest::Running);
                    prop_assert!(world.view.next.is_none() && world.view.others.is_empty());
                    prop_assert!(world.view.draft.is_none());
                    prop_assert!(untouched.is_none() || healthy(&world.view) == untouched);
                    return Ok(());
                }
                Step::Wait(until) => prop_assert!(false, "waits for {until:?} in {:?}", world.view),
            }
        }
        prop_assert!(false, "did not converge: {:?}", world.view);
    }

    #[test]
    fn a_job_that_was_done_is_not_run_again_from_any_state(view in any_view()) {
        let (want, memory) = (job("new"), done(&job("new")));
        let mut world = World { view, created: 0 };
        let running = |view: &View| view.all().any(|c| want.digest_is(c) && c.status.is_alive());
        let was_running = running(&world.view);
        for _ in 0..20 {
            match plan(&want, &world.view, &memory, Gate::OPEN, NOW) {
                Step::Do(action) => {
                    let runs = matches!(action, Action::Create(_) | Action::Start(_) | Action::Pull);
                    prop_assert!(!runs, "{action:?} in {:?}", world.view);
                    world.apply(action, &want);
                }
                Step::Done(Rest::Running) => {
                    prop_assert!(was_running);
                    return Ok(());
                }
                Step::Done(rest) => {
                    let has_ended = matches!(rest, Rest::Exited { .. });
                    prop_assert!(has_ended);
                    prop_assert!(world.live() == 0 && world.view.next.is_none() && world.view.others.is_empty());
                    return Ok(());
                }
                Step::Wait(until) => prop_assert!(false, "waits for {until:?} in {:?}", world.view),
            }
        }
        prop_assert!(false, "did not converge: {:?}", world.view);
    }

    #[test]
    fn while_a_slot_waits_for_others_what_serves_goes_on_and_nothing_new_starts(view in any_view()) {
        let want = target("new");
        let shut = Gate { may_restart: false, may_begin: false };
        let mut world = World { view, created: 0 };
        // A prepared one that somebody started by hand serves nobody.
        let serving = |view: &View| view.main.iter().chain(&view.others).any(|c| c.status.is_alive());
        let serves = serving(&world.view);
        for _ in 0..20 {
            let Step::Do(action) = plan(&want, &world.view, &Memory::default(), shut, NOW) else { break };
            let main = world.view.main.as_ref();
            let starts_new =
                matches!(&action, Action::Start(id) if main.is_some_and(|m| m.id == *id && want.digest_is(m)));
            prop_assert!(!starts_new, "{:?}", world.view);
            world.apply(action, &want);
            prop_assert!(!serves || serving(&world.view), "nobody serves any more: {:?}", world.view);
        }
    }

    #[test]
    fn a_dropped_slot_becomes_empty_from_any_state(view in any_view()) {
        let want = target("new");
        let mut world = World { view, created: 0 };
        for _ in 0..20 {
            match vacate(&world.view, Cause::Dropped) {
                Step::Do(action) => world.apply(action, &want),
                Step::Done(rest) => {
                    prop_assert_eq!(rest, Rest::Empty);
                    return Ok(());
                }
                Step::Wait(until) => prop_assert!(false, "waits for {until:?}"),
            }
        }
        prop_assert!(false, "did not converge");
    }
}

fn with_image(image: Image) -> Memory {
    let mut memory = Memory::default();
    memory.image = image;
    memory
}
