//! The same random operations on the fake and on real podman: what is answered and what is seen afterwards
//! must be the same, or the fake lies to every story that is told on it.
use crate::worlds::{Demo, Fake, Podman, World, port, spec};
use fleet_agent::domain::container::{ContainerId, Status};
use fleet_agent::domain::hidden::Hidden;
use fleet_agent::domain::spec::{CreateSpec, FileOwner, Mount, PlacedFile};
use fleet_agent::runtime::{ContainerRuntime, ErrorKind, NameHolder, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long the two may take to look alike: real programs need a moment for their signals, podman one for
/// its cleanup.
const ALIKE_WITHIN: Duration = Duration::from_secs(20);
const BETWEEN: Duration = Duration::from_millis(20);
const NAMES: [&str; 4] = ["fleet-web.a", "fleet-web.a.next", "fleet-web.a.old", "fleet-web.b"];
const NETWORKS: [&str; 2] = ["fleet-web", "fleet-two"];

const ALL_FILES: [&str; 4] = ["/etc/app.toml", "/etc/app.d/b", "/new/deep/a", "/new/deep/b"];

/// Containers are numbered in the order of their creation: their ids differ.
#[derive(Debug, Clone, Copy)]
enum Step {
    Create {
        name: &'static str,
        demo: Demo,
        network: Option<&'static str>,
        with_port: bool,
        with_volume: bool,
    },
    /// With this much in each, to a container that was never started: only those are given files.
    PutFiles(usize, &'static [&'static str], u16, usize),
    Start(usize),
    Signal(usize, &'static str),
    Unpause(usize),
    Rename(usize, &'static str),
    Remove(usize),
    Holder(&'static str),
    RemoveOrphan(&'static str),
    EnsureNetwork(&'static str),
    RemoveNetwork(&'static str),
    EnsureVolume,
    // What happens behind the agent's back.
    RestartService,
    Pause(usize),
    KillWithMonitor(usize),
    MakeOrphan(&'static str),
    UserRemoves(usize),
}

/// One world with the ids of what was created in it.
struct Side<W> {
    world: W,
    ids: Vec<ContainerId>,
}

/// What a look shows of each container.
type Seen = BTreeMap<String, String>;

impl<W: World> Side<W> {
    fn new(world: W) -> Self {
        Self { world, ids: Vec::new() }
    }

    async fn name_of(&self, n: usize) -> Option<String> {
        let all = self.world.runtime().list().await.expect("listed");
        all.into_iter().find(|container| container.id == self.ids[n]).map(|container| container.name)
    }

    async fn status_of(&self, n: usize) -> Option<Status> {
        let all = self.world.runtime().list().await.expect("listed");
        all.into_iter().find(|container| container.id == self.ids[n]).map(|container| container.status)
    }

    /// What was answered, in words that are the same on both sides.
    async fn apply(&mut self, step: Step) -> String {
        let runtime = self.world.runtime();
        match step {
            Step::Create { name, demo, network, with_port, with_volume } => {
                let mut spec =
                    CreateSpec { ..spec(&self.world, demo, "web", name.rsplit('.').next().unwrap()) };
                if let Some(network) = network {
                    spec.network = network.into();
                    spec.ports.extend(with_port.then(port));
                }
                let data =
                    Mount { source: "fleet-web.data".into(), target: "/data".into(), read_only: false };
                spec.mounts.extend(with_volume.then_some(data));
                match runtime.create(name, &spec).await {
                    Ok(id) => {
                        self.ids.push(id);
                        "created".into()
                    }
                    Err(error) => said::<()>(Err(error)),
                }
            }
            Step::PutFiles(n, paths, mode, length) => self.put_files(n, paths, mode, length).await,
            Step::Start(n) => said(runtime.start(&self.ids[n]).await),
            Step::Signal(n, signal) => said(runtime.signal(&self.ids[n], signal).await),
            Step::Unpause(n) => said(runtime.unpause(&self.ids[n]).await),
            Step::Rename(n, name) => said(runtime.rename(&self.ids[n], name).await),
            Step::Remove(n) => said(runtime.remove(&self.ids[n]).await),
            Step::Holder(name) => match runtime.holder(name).await {
                Ok(NameHolder::Ours(container)) => format!("ours, {}", word(container.status)),
                Ok(NameHolder::Foreign(_)) => "foreign".into(),
                Ok(NameHolder::Nobody) => "nobody".into(),
                Err(error) => said::<()>(Err(error)),
            },
            Step::RemoveOrphan(name) => said(runtime.remove_orphan(name).await),
            Step::EnsureNetwork(name) => said(runtime.ensure_network(name, &BTreeMap::new()).await),
            Step::RemoveNetwork(name) => said(runtime.remove_network(name).await),
            Step::EnsureVolume => said(runtime.ensure_volume("fleet-web.data", &BTreeMap::new()).await),
            Step::RestartService => {
                self.world.restart_service();
                "done".into()
            }
            Step::Pause(n) => self.behind_the_back(n, |world, name| world.pause(name)).await,
            Step::UserRemoves(n) => self.behind_the_back(n, |world, name| world.user_removes(name)).await,
            Step::KillWithMonitor(n) => match self.status_of(n).await {
                Some(Status::Running(process)) => {
                    let name = self.name_of(n).await.expect("it runs");
                    self.world.kill_behind_the_back(&name, process);
                    "done".into()
                }
                _ => "does not run".into(),
            },
            Step::MakeOrphan(name) => {
                self.world.make_orphan(name);
                "done".into()
            }
        }
    }

    /// What all files are afterwards is part of the answer.
    async fn put_files(&self, n: usize, paths: &[&str], mode: u16, length: usize) -> String {
        if !matches!(self.status_of(n).await, None | Some(Status::Created)) {
            return "was started".into();
        }
        let content = Hidden::new(vec![b'x'; length]);
        let file = |path: &&str| PlacedFile {
            path: (*path).into(),
            mode,
            owner: FileOwner::Root,
            content: content.clone(),
        };
        let files: Vec<PlacedFile> = paths.iter().map(file).collect();
        let answer = said(self.world.runtime().put_files(&self.ids[n], &files).await);
        let Some(name) = self.name_of(n).await else { return answer };
        let found = ALL_FILES
            .map(|path| self.world.file(&name, path).map(|file| (file.mode, file.uid, file.content.len())));
        format!("{answer}, {found:?}")
    }

    async fn behind_the_back(&self, n: usize, what: impl Fn(&W, &str)) -> String {
        match self.name_of(n).await {
            Some(name) => {
                what(&self.world, &name);
                "done".into()
            }
            None => "is not there".into(),
        }
    }

    async fn seen(&self) -> Seen {
        let list = self.world.runtime().list().await.expect("listed");
        let look = self.world.runtime().look(&"web".parse().expect("valid")).await.expect("looked");
        let named = |all: Vec<fleet_agent::domain::container::Container>| -> Seen {
            all.into_iter().map(|c| (c.name.clone(), format!("{} {}", c.service, word(c.status)))).collect()
        };
        let (list, look) = (named(list), named(look));
        if list == look {
            list
        } else {
            BTreeMap::from([("list and look differ".into(), format!("{list:?} {look:?}"))])
        }
    }
}

fn said<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => match error.kind {
            // One word of the agent for both: what was planned from is stale.
            ErrorKind::NameInUse | ErrorKind::NotFound => format!("{:?}", error.kind),
            kind => format!("{kind:?}"),
        },
    }
}

fn word(status: Status) -> String {
    match status {
        Status::Running(_) => "running".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

struct Pair {
    fake: Side<Fake>,
    real: Side<Podman>,
    rng: fastrand::Rng,
    demos: Vec<Demo>,
    orphans: BTreeSet<&'static str>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let (fake, real) = (Side::new(Fake::new()), Side::new(Podman::new()));
        Self { fake, real, rng: fastrand::Rng::with_seed(seed), demos: vec![], orphans: BTreeSet::new() }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    fn create(&mut self) -> Step {
        let network = self.pick(&[None, None, Some(NETWORKS[0]), Some(NETWORKS[1])]);
        Step::Create {
            name: self.pick(&NAMES),
            demo: self.pick(&[Demo::Obeys, Demo::Obeys, Demo::Deaf, Demo::Ends]),
            network,
            with_port: self.rng.bool(),
            with_volume: self.rng.u8(..4) == 0,
        }
    }

    fn next(&mut self) -> Step {
        let (name, network, dice) = (self.pick(&NAMES), self.pick(&NETWORKS), self.rng.u8(..36));
        if self.fake.ids.is_empty() {
            return self.create();
        }
        // Mostly the latest: old ones are gone.
        let n = self.fake.ids.len() - 1 - self.rng.usize(..self.fake.ids.len().min(3));
        let is_free = self.fake.world.runtime().container(name).is_none() && !self.orphans.contains(name);
        match dice {
            0..=6 => self.create(),
            7..=12 => Step::Start(n),
            13..=15 => Step::Signal(n, self.pick(&["SIGTERM", "SIGUSR1", "SIGKILL"])),
            16..=18 => Step::Rename(n, name),
            19..=21 => Step::Remove(n),
            22 => Step::Holder(name),
            23 => Step::RemoveOrphan(name),
            24 => Step::EnsureNetwork(network),
            25 => Step::RemoveNetwork(network),
            26 => Step::EnsureVolume,
            27 => Step::RestartService,
            28 => Step::Pause(n),
            29 => Step::Unpause(n),
            30 => Step::KillWithMonitor(n),
            31..=34 => {
                let paths: &'static [&'static str] =
                    self.pick(&[&ALL_FILES[..], &ALL_FILES[..1], &ALL_FILES[1..3], &ALL_FILES[3..]]);
                Step::PutFiles(
                    n,
                    paths,
                    self.pick(&[0o644, 0o600, 0o755, 0o4711]),
                    self.pick(&[0, 1, 100_000]),
                )
            }
            _ if is_free => Step::MakeOrphan(name),
            _ => Step::UserRemoves(n),
        }
    }

    /// What is to be waited for before anything else makes sense: a program that is not there yet, or one
    /// that is about to end.
    async fn settle(&mut self, step: Step) {
        let Step::Start(n) = step else { return };
        let began = Instant::now();
        while began.elapsed() < ALIKE_WITHIN {
            let (fake, real) = (self.fake.status_of(n).await, self.real.status_of(n).await);
            let is_settled = match (self.demos[n], real) {
                (Demo::Ends, _) => ![fake, real].iter().flatten().any(|s| matches!(s, Status::Running(_))),
                (Demo::Obeys | Demo::Deaf, Some(Status::Running(process))) => hears(process.pid),
                (Demo::Obeys | Demo::Deaf, _) => true,
            };
            if is_settled {
                return;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        panic!("not settled within {ALIKE_WITHIN:?}: {step:?}");
    }

    async fn alike(&self) -> std::result::Result<(), (Seen, Seen)> {
        let began = Instant::now();
        loop {
            let (fake, real) = (self.fake.seen().await, self.real.seen().await);
            if fake == real {
                return Ok(());
            }
            if began.elapsed() >= ALIKE_WITHIN {
                return Err((fake, real));
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn run(mut self, seed: u64, steps: usize) {
        let mut told = format!("FLEET_DIFFERENTIAL_SEED={seed}\n");
        for n in 0..steps {
            let step = self.next();
            let (fake, real) = (self.fake.apply(step).await, self.real.apply(step).await);
            told += &format!("{n:3} {step:?}: {fake}\n");
            assert_eq!(fake, real, "the fake's answer and podman's\n{told}");
            match step {
                Step::Create { demo, .. } if fake == "created" => self.demos.push(demo),
                Step::MakeOrphan(name) => drop(self.orphans.insert(name)),
                Step::RemoveOrphan(name) if fake == "ok" => drop(self.orphans.remove(name)),
                _ => {}
            }
            self.settle(step).await;
            if let Err((fake, real)) = self.alike().await {
                panic!("what is seen differs:\nfake   {fake:?}\npodman {real:?}\n{told}");
            }
        }
    }
}

/// Whether the demo program has said what is to happen on SIGTERM: bits of proc(5) `SigIgn` and `SigCgt`.
fn hears(pid: u32) -> bool {
    const SIGTERM: u64 = 1 << 14;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let masks =
        status.lines().filter_map(|line| line.strip_prefix("SigIgn:").or(line.strip_prefix("SigCgt:")));
    masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).any(|mask| mask & SIGTERM != 0)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[tokio::test]
async fn random_operations_look_the_same_on_the_fake_and_on_podman() {
    let seed = number("FLEET_DIFFERENTIAL_SEED").unwrap_or(1);
    Pair::new(seed).run(seed, 30).await;
}

mod long {
    use super::*;

    #[tokio::test]
    async fn many_random_operations_look_the_same_on_the_fake_and_on_podman() {
        for _ in 0..number("FLEET_DIFFERENTIAL_RUNS").unwrap_or(10) {
            let seed = fastrand::u64(..);
            Pair::new(seed).run(seed, 40).await;
        }
    }
}
