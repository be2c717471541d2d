//! `kill -9` of the agent between any two steps. What is there afterwards is read from /proc and from podman.
use crate::device::Device;
use crate::documents::{deployment, script, with};
use crate::observe::{self, Seen};
use crate::podman_world::{DEMO_IMAGE, PodmanWorld};
use crate::witness::{self, Witness};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

/// A deployment of these services of which each process can be told, and says which document it is of.
fn marked(name: &str, services: &[&str], mark: u32) -> Vec<u8> {
    let all: Vec<Value> = services
        .iter()
        .map(|service| {
            let words = witness::mark(name, service);
            let run = format!(": {words}; trap 'exit 0' TERM; sleep 86400 & wait");
            with(script(service, &run), json!({"env": {"MARK": mark.to_string()}, "volumes": ["data:/data"]}))
        })
        .collect();
    deployment(&all)
}

/// Each live container of this test: slot, and the mark in its process's environment.
fn live() -> BTreeMap<String, String> {
    let one = |(slot, pids): (String, Vec<u32>)| {
        assert_eq!(pids.len(), 1, "{slot} has {pids:?}");
        (slot, witness::variable(pids[0], "MARK").unwrap_or_default())
    };
    witness::live().into_iter().map(one).collect()
}

struct Scene {
    device: Device,
    witness: Witness,
}

impl Scene {
    /// `web` and its neighbour run.
    async fn new() -> Self {
        let witness = Witness::new();
        let device = Device::new().await;
        device.apply("other", marked("other", &["a"], 1)).await;
        let scene = Self { device, witness };
        // The OCI runtime's own process becomes the container's a moment after podman says that it runs.
        scene.soon("the neighbour runs", &[("other.a", "1")]).await;
        scene
    }

    /// The agent kills itself at the point, and another one is started.
    async fn killed_at(&mut self, point: &str) {
        let end = self.device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(9), "at {point}: {end}\n{}", self.device.log.tail());
        self.device.boot();
    }

    /// Exactly these containers, each once, each of this document, and none beside them; and so it stays.
    async fn exactly(&self, what: &str, slots: &[(&str, &str)]) {
        let wanted = self.soon(what, slots).await;
        self.device.several_ticks().await;
        assert_eq!(live(), wanted, "{what}, and stays so");
    }

    async fn soon(&self, what: &str, slots: &[(&str, &str)]) -> BTreeMap<String, String> {
        let wanted: BTreeMap<String, String> =
            slots.iter().map(|(slot, mark)| ((*slot).to_owned(), (*mark).to_owned())).collect();
        let names: Vec<String> = wanted.keys().map(|slot| format!("fleet-{slot}")).collect();
        let look = async || {
            let (now, listed) = (live(), self.device.containers());
            let is_so = now == wanted && listed.keys().eq(names.iter());
            is_so.then_some(()).ok_or_else(|| format!("live {now:?}, listed {:?}", listed.keys()))
        };
        self.device.eventually(what, look).await;
        wanted
    }

    fn pid(&self, slot: &str) -> u32 {
        witness::live()[slot][0]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    First,
    Replace,
    Delete,
}

/// One kind of work with a kill at one point; answers whether the work came by it.
async fn work_with_a_kill(scene: &mut Scene, name: &str, work: Work, point: &str) -> bool {
    let slot = format!("{name}.a");
    let other = scene.pid("other.a");
    if work != Work::First {
        scene.device.apply(name, marked(name, &["a"], 1)).await;
    }
    scene.device.arm(point, "kill");
    let wanted: Vec<(&str, &str)> = match work {
        Work::First => vec![("other.a", "1"), (&slot, "1")],
        Work::Replace => vec![("other.a", "1"), (&slot, "2")],
        Work::Delete => vec![("other.a", "1")],
    };
    match work {
        Work::First => drop(scene.device.put(name, marked(name, &["a"], 1)).await),
        Work::Replace => drop(scene.device.put(name, marked(name, &["a"], 2)).await),
        Work::Delete => scene.device.operator.delete(name).await,
    }
    // Not every kind of work comes by every point: then it is simply done.
    let met = tokio::select! {
        () = scene.device.happened(point) => true,
        // When it was done before, the point can only come right after.
        () = scene.exactly("it is done", &wanted) => false,
    };
    let met = met || !scene.device.disarmed(point);
    if met {
        scene.killed_at(point).await;
    }
    scene.exactly(&format!("{work:?} with a kill at {point}"), &wanted).await;
    assert_eq!(scene.pid("other.a"), other, "{work:?} with a kill at {point}");
    scene.device.operator.delete(name).await;
    scene.soon("it is gone", &[("other.a", "1")]).await;
    let _ = std::fs::remove_dir_all(scene.device.faults_dir());
    met
}

#[tokio::test]
async fn a_kill_between_the_steps_of_a_first_deployment_leaves_one_container() {
    let mut scene = Scene::new().await;
    // Durable, not created; created, not started.
    for (name, point) in [("one", "before:Create"), ("two", "after:Create")] {
        assert!(work_with_a_kill(&mut scene, name, Work::First, point).await, "{point}");
    }
    scene.witness.never_saw_two();
}

#[tokio::test]
async fn a_kill_right_after_a_start_does_not_start_it_again() {
    let mut scene = Scene::new().await;
    scene.device.arm("after:Start", "kill");
    let revision = scene.device.put("web", marked("web", &["a"], 1)).await;
    scene.device.happened("after:Start").await;
    let (pid, ids) = (scene.pid("web.a"), ids(&scene.device));
    scene.killed_at("after:Start").await;
    scene.device.running("web", revision).await;
    assert_eq!((scene.pid("web.a"), self::ids(&scene.device)), (pid, ids));
    scene.witness.never_saw_two();
}

fn ids(device: &Device) -> Vec<String> {
    device.containers().into_values().map(|seen| seen.id).collect()
}

#[tokio::test]
async fn a_kill_between_the_steps_of_a_replace_ends_with_the_new_one_alone() {
    let mut scene = Scene::new().await;
    for (name, point) in [("one", "after:Stop"), ("two", "after:Create"), ("three", "after:Start")] {
        assert!(work_with_a_kill(&mut scene, name, Work::Replace, point).await, "{point}");
    }
    scene.witness.never_saw_two();
}

/// The only container of this deployment that was made from a document of this digest.
fn made_from(device: &Device, name: &str, digest: &str) -> Seen {
    let all = device.containers();
    let is_it = |(other, seen): &(&String, &Seen)| {
        other.starts_with(&format!("fleet-{name}.")) && seen.labels[DIGEST] == digest
    };
    let found: Vec<&Seen> = all.iter().filter(is_it).map(|(_, seen)| seen).collect();
    assert_eq!(found.len(), 1, "{all:#?}");
    found[0].clone()
}

const DIGEST: &str = "io.fleet.spec-digest";

#[tokio::test]
async fn what_was_made_before_a_kill_is_used_after_it_and_is_what_an_undisturbed_agent_makes() {
    let mut scene = Scene::new().await;
    let cases = [
        ("one", Work::First, "after:Create"),
        ("two", Work::Replace, "after:Create"),
        ("three", Work::Replace, "after:Start"),
    ];
    for (name, work, point) in cases {
        scene.device.apply(name, marked(name, &["a"], 2)).await;
        let digest = scene.device.containers()[&format!("fleet-{name}.a")].labels[DIGEST].clone();
        scene.device.operator.delete(name).await;
        scene.soon("it is gone", &[("other.a", "1")]).await;
        if work == Work::Replace {
            scene.device.apply(name, marked(name, &["a"], 1)).await;
        }
        scene.device.arm(point, "kill");
        let revision = scene.device.put(name, marked(name, &["a"], 2)).await;
        scene.device.happened(point).await;
        let end = scene.device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(9), "at {point}: {end}");
        let before = made_from(&scene.device, name, &digest);
        assert_eq!(before.life.is_some(), point == "after:Start", "{work:?} {point}");
        scene.device.boot();
        scene.device.running(name, revision).await;
        scene.exactly(point, &[("other.a", "1"), (&format!("{name}.a"), "2")]).await;
        let after = made_from(&scene.device, name, &digest);
        assert_eq!(after.id, before.id, "{work:?} {point}");
        assert!(before.life.is_none() || before.life == after.life, "{work:?} {point}");
        scene.device.operator.delete(name).await;
        scene.soon("it is gone", &[("other.a", "1")]).await;
    }
    scene.witness.never_saw_two();
}

/// One who never sees anything would be content with everything.
#[test]
#[should_panic(expected = "had two live containers at once")]
fn the_witness_sees_two_live_containers_of_one_slot() {
    let (world, witness) = (PodmanWorld::new(), Witness::new());
    let run = format!(": {}; sleep 86400 & wait", witness::mark("web", "a"));
    for _ in 0..2 {
        world.podman(&["run", "--detach", "--network", "none", DEMO_IMAGE, "sh", "-c", &run]);
    }
    witness.never_saw_two();
}

#[tokio::test]
async fn a_kill_after_the_stop_of_a_delete_ends_without_container_and_with_its_volume() {
    let mut scene = Scene::new().await;
    assert!(work_with_a_kill(&mut scene, "web", Work::Delete, "after:Stop").await);
    assert_eq!(observe::ours(&scene.device.world, "volume"), ["fleet-other.data", "fleet-web.data"]);
    scene.witness.never_saw_two();
}

#[tokio::test]
async fn an_agent_that_is_started_right_after_a_kill_owns_the_device_at_once() {
    let mut scene = Scene::new().await;
    let pid = scene.pid("other.a");
    for _ in 0..5 {
        scene.device.crash();
        scene.device.boot();
    }
    let instance = scene.device.operator.ask_when_up("ping").await.body["instance"].clone();
    scene.device.heartbeat("it beats", |beat| beat["instance"] == instance && beat["health"] == "ok").await;
    scene.device.apply("web", marked("web", &["a"], 1)).await;
    assert_eq!(scene.pid("other.a"), pid);
    scene.witness.never_saw_two();
}

/// Where work can be cut off.
fn points() -> Vec<String> {
    let operations = ["Create", "Start", "Stop", "Remove", "Rename", "Pull", "RemoveNetwork"];
    let around = operations.iter().flat_map(|name| [format!("before:{name}"), format!("after:{name}")]);
    let disk = ["write", "sync", "previous", "rename", "directory"].map(|step| format!("disk:{step}"));
    around.chain(disk).collect()
}

const KINDS: [Work; 3] = [Work::First, Work::Replace, Work::Delete];

#[tokio::test]
async fn a_kill_at_a_random_point_of_random_work_is_healed() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut scene = Scene::new().await;
    let points = points();
    for n in 0..3 {
        let (work, point) = (*dice.choice(&KINDS).unwrap(), dice.choice(&points).unwrap());
        println!("{work:?} at {point}");
        work_with_a_kill(&mut scene, &format!("d{n}"), work, point).await;
    }
    scene.witness.never_saw_two();
}

mod long {
    use super::*;

    #[tokio::test]
    async fn a_kill_at_every_point_of_every_kind_of_work_is_healed() {
        let mut scene = Scene::new().await;
        let mut met = 0;
        for (n, point) in points().iter().enumerate() {
            for work in KINDS {
                let name = format!("d{n}-{}", work as u8);
                met += u32::from(work_with_a_kill(&mut scene, &name, work, point).await);
            }
        }
        println!("{met} of them were met");
        assert!(met >= 25, "{met}");
        scene.witness.never_saw_two();
    }
}
