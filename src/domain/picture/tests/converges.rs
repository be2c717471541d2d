//! Whole deployments, from whatever is there to what is wanted.
use super::*;
use crate::domain::container::Process;
use crate::domain::health::Verdict;
use crate::domain::jobs::End;
use fleet_contracts::desired::Restart;
use fleet_contracts::names::container_name;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Each a second. Three services, each with containers under five names, need at most this many steps.
const ROUNDS: u64 = 100;

#[derive(Debug, Clone)]
struct Draw {
    restart: u8,
    is_checked: bool,
    /// On `a`, on `b`; with which condition.
    depends_on: [(bool, u8); 2],
    is_noted: bool,
    has_image: bool,
    there: Vec<(Role, bool, Status)>,
}

fn any_status() -> impl Strategy<Value = Status> {
    let runs = Status::Running(Process { pid: 7, start_ticks: 7 });
    prop_oneof![
        Just(runs),
        Just(Status::Created),
        Just(Status::Lying),
        Just(Status::Paused),
        Just(Status::Ended { code: 1 }),
        Just(Status::Exited { code: 0 }),
        Just(Status::Exited { code: 1 }),
    ]
}

fn any_draw() -> impl Strategy<Value = Draw> {
    let role = prop_oneof![Just(Role::Main), Just(Role::Next), Just(Role::Old), Just(Role::Draft)];
    let there = prop::collection::vec((role, any::<bool>(), any_status()), 0..4);
    let on = [(any::<bool>(), 0..3_u8), (any::<bool>(), 0..3_u8)];
    (0..3_u8, any::<bool>(), on, any::<bool>(), any::<bool>(), there).prop_map(
        |(restart, is_checked, depends_on, is_noted, has_image, mut there)| {
            // A name is given once.
            let mut taken = BTreeSet::new();
            there.retain(|(role, _, _)| taken.insert(format!("{role:?}")));
            Draw { restart, is_checked, depends_on, is_noted, has_image, there }
        },
    )
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Services depend on those before them, under a condition that is allowed there.
fn document(draws: &[Draw]) -> Vec<u8> {
    let service = |(n, draw): (usize, &Draw)| {
        let condition = |on: usize, drawn: u8| match (drawn, &draws[on]) {
            // What ends is not checked any more: who waits for its health may wait for ever.
            (1, other) if other.is_checked && other.restart == 0 => "healthy",
            (2, other) if other.restart != 0 => "completed",
            _ => "started",
        };
        let on = draw.depends_on.iter().enumerate().filter(|(on, (depends, _))| *on < n && *depends);
        let on: Vec<Value> = on
            .map(|(on, (_, drawn))| json!({"service": NAMES[on], "condition": condition(on, *drawn)}))
            .collect();
        let check = draw.is_checked.then(|| json!({"test": ["CMD", "ready"], "interval_s": 1}));
        let restart = ["always", "on-failure", "never"][usize::from(draw.restart)];
        json!({"name": NAMES[n], "image": "demo:1", "restart": restart, "depends_on": on, "healthcheck": check})
    };
    let services: Vec<Value> = draws.iter().enumerate().map(service).collect();
    json!({"type": "PodmanV0", "data": {"services": services}}).to_string().into_bytes()
}

struct World {
    picture: Picture,
    containers: BTreeMap<ContainerId, Container>,
    has_image: BTreeMap<ServiceName, bool>,
    /// Jobs that ended long ago.
    done: BTreeSet<ServiceName>,
    made: u32,
    now: Moment,
}

impl World {
    /// As drawn, with a service `z` that no document has.
    fn new(draws: &[Draw], dropped: &Draw) -> Self {
        let mut wanted = Wanted::read(&document(draws), 1).unwrap();
        let named = |n: usize| -> ServiceName { NAMES[n].parse().unwrap() };
        for (n, _) in draws.iter().enumerate().filter(|(_, draw)| draw.is_noted) {
            let target = &wanted.targets[&named(n)];
            if target.service.restart == Restart::Never {
                let end = End { digest: target.digest.clone(), code: 0, said: None };
                wanted.ends.insert(named(n), end);
            }
        }
        let (name, now) = ("web".parse().unwrap(), at(1));
        let mut world = Self {
            picture: Picture::new(name, now),
            containers: BTreeMap::new(),
            has_image: draws.iter().enumerate().map(|(n, draw)| (named(n), draw.has_image)).collect(),
            done: wanted.ends.keys().cloned().collect(),
            made: 0,
            now,
        };
        world.picture.want(Arc::new(wanted));
        for (n, draw) in draws.iter().enumerate() {
            draw.there.iter().for_each(|there| world.put(&named(n), *there));
        }
        dropped.there.iter().for_each(|there| world.put(&"z".parse().unwrap(), *there));
        world.look();
        world
    }

    fn put(&mut self, service: &ServiceName, (role, is_wanted, status): (Role, bool, Status)) {
        let digest = self.picture.target(service).filter(|_| is_wanted).map(|target| target.digest.clone());
        let name = container_name(&self.picture.name, service, role);
        let digest = digest.unwrap_or_else(|| SpecDigest::from_hex("former"));
        self.insert(service, name, digest, status);
    }

    fn insert(
        &mut self,
        service: &ServiceName,
        name: String,
        digest: SpecDigest,
        status: Status,
    ) -> Container {
        self.made += 1;
        let container = Container {
            id: ContainerId::new(&self.made.to_string()),
            name,
            deployment: self.picture.name.clone(),
            service: service.clone(),
            digest: Some(digest),
            depends_on: vec![],
            status,
            secrets: None,
            image_id: None,
            started_at: None,
        };
        assert!(self.containers.values().all(|other| other.name != container.name), "the name was taken");
        self.containers.insert(container.id.clone(), container.clone());
        container
    }

    fn look(&mut self) {
        let all = self.containers.values().cloned().collect();
        self.picture.observed(self.now, all, self.now, EVEN);
    }

    /// Every check passes.
    fn check(&mut self) {
        for check in self.picture.due_checks(self.now) {
            self.picture.check_begun(&check.service);
            self.picture.checked(&check.service, check.process, Verdict::Passed, self.now, EVEN);
        }
    }

    fn of(&self, service: &ServiceName) -> impl Iterator<Item = &Container> {
        self.containers.values().filter(move |container| container.service == *service)
    }

    fn set(&mut self, id: &ContainerId, status: Status) -> Container {
        let container = self.containers.get_mut(id).expect("planned for what is seen");
        container.status = status;
        container.clone()
    }

    fn perform(&mut self, service: &ServiceName, action: Action) {
        let lane = match action {
            Action::Pull => Lane::Image(service.clone()),
            _ => Lane::Slot(service.clone()),
        };
        let runs = matches!(action, Action::Pull | Action::Create(_) | Action::Start(_));
        assert!(!runs || !self.done.contains(service), "a job that was done is run again");
        self.picture.begun(lane.clone(), &action);
        let now = self.now;
        match action {
            Action::Pull => {
                self.has_image.insert(service.clone(), true);
                self.picture.pulled(service, now);
            }
            Action::Create(_) if !self.has_image[service] => {
                self.picture.image_missing(&lane, "no such image".into(), now, EVEN);
            }
            Action::Create(role) => {
                let digest = self.picture.target(service).expect("it is wanted").digest.clone();
                let name = container_name(&self.picture.name, service, role);
                let made = self.insert(service, name, digest.clone(), Status::Created);
                let made = Made { id: made.id, name: made.name, digest, secrets: None };
                self.picture.created(&lane, made, now, EVEN);
            }
            Action::Start(id) => {
                let in_the_way = self.of(service).filter(|other| other.id != id && !other.status.made_way());
                assert_eq!(in_the_way.count(), 0, "started beside another");
                let target = self.picture.target(service).expect("it is wanted");
                let runs =
                    Status::Running(Process { pid: self.made, start_ticks: now.since(at(0)).as_secs() });
                let ends = target.service.restart != Restart::Always;
                let started = self.set(&id, if ends { Status::Exited { code: 0 } } else { runs });
                self.picture.became(&lane, started, now, EVEN);
            }
            Action::Unpause(id) => {
                let on = self.set(&id, Status::Running(Process { pid: 9, start_ticks: 9 }));
                self.picture.became(&lane, on, now, EVEN);
            }
            Action::Stop { id, cause } => {
                self.may_stop(service, &id, cause);
                self.set(&id, Status::Exited { code: 143 });
                self.clear(&lane);
            }
            Action::Remove { id, .. } => {
                let gone = self.containers.remove(&id).expect("planned for what is seen");
                assert!(gone.status.made_way(), "removed before its end");
                self.clear(&lane);
            }
            Action::Rename { id, to } => {
                let name = container_name(&self.picture.name, service, to);
                assert!(self.containers.values().all(|other| other.name != name), "the name was taken");
                self.containers.get_mut(&id).expect("planned for what is seen").name = name;
                self.clear(&lane);
            }
        }
    }

    fn clear(&mut self, lane: &Lane) {
        let all =
            self.containers.clone().into_iter().map(|(id, container)| (id, Box::new(container))).collect();
        self.picture.cleared(lane, self.now, |known| *known = all);
    }

    /// Not before its successor, and with it the image, is there.
    fn may_stop(&self, service: &ServiceName, id: &ContainerId, cause: Cause) {
        let Some(target) = self.picture.target(service) else { return };
        let was_done = self.picture.slots[service].memory.end_of(target).is_some();
        let is_ready = self.of(service).any(|other| other.id != *id && target.digest_is(other));
        assert!(cause != Cause::Changed || is_ready || was_done, "stopped before its successor was ready");
    }

    /// The services that run as wanted.
    fn equal(&self) -> BTreeSet<ContainerId> {
        let is_equal = |container: &&Container| {
            let target = self.picture.target(&container.service);
            let main = container_name(&self.picture.name, &container.service, Role::Main);
            let runs = matches!(container.status, Status::Running(_)) && container.name == main;
            runs && target.is_some_and(|target| target.digest_is(container))
        };
        self.containers.values().filter(is_equal).map(|container| container.id.clone()).collect()
    }

    /// Carries out everything that can be done, in some order, for so long. Returns the last round with a deed.
    fn go_on(&mut self, mut order: u64) -> u64 {
        let (equal, mut last) = (self.equal(), 0);
        for round in 1..=ROUNDS {
            self.now = self.now + Duration::from_secs(1);
            self.check();
            if order & 1 == 1 {
                self.look();
            }
            let mut steps = self.picture.steps(self.now);
            if order & 2 == 2 {
                steps.reverse();
            }
            for (service, step) in steps {
                let Step::Do(action) = step else { continue };
                // It was planned before the one before it was done, as all are that run at once.
                self.perform(&service, action);
                last = round;
            }
            order = order.rotate_right(2);
            assert!(equal.iter().all(|id| self.equal().contains(id)), "touched what was as wanted");
        }
        last
    }
}

proptest! {
    // Each is two hundred rounds of a whole deployment.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_deployment_converges_in_bounded_steps_and_then_nothing_is_done(
        draws in [any_draw(), any_draw(), any_draw()], dropped in any_draw(), order in any::<u64>(),
    ) {
        let mut world = World::new(&draws, &dropped);
        let last = world.go_on(order);
        prop_assert!(last < ROUNDS - 50, "not settled: {:?}", world.picture.steps(world.now));
        // What depends on the completion of something waits while that runs, and for ever when it failed.
        let not_completed = |c: &Container| {
            let is_finite = world.picture.target(&c.service).is_some_and(|t| t.service.restart != Restart::Always);
            is_finite && c.status.exit_code() != Some(0)
        };
        let may_wait = world.containers.values().any(not_completed);
        for (service, step) in world.picture.steps(world.now) {
            let is_settled = matches!(step, Step::Done(_)) || (may_wait && step == Step::Wait(None));
            prop_assert!(is_settled, "{service}: {step:?} in {:#?}", world.containers);
        }
        prop_assert!(world.containers.values().all(|c| c.service.as_str() != "z"), "what was dropped is left");
        let settled = world.containers.clone();
        world.look();
        prop_assert_eq!(world.go_on(order), 0, "something is done again");
        prop_assert_eq!(world.containers, settled);
    }
}
