//! Fifty deployments at once, one of them broken in each possible way.
use crate::documents::{demo, document};
use crate::harness::{Story, TICK, seconds};
use fleet_agent::runtime::fake::{Op, Program, Registry};
use fleet_agent::runtime::{ErrorKind, Run};
use fleet_contracts::state::{Code, Phase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

const ALL: usize = 50;

fn on(service: &str, condition: &str) -> Value {
    json!([{"service": service, "condition": condition}])
}

fn check() -> Value {
    json!({"test": ["CMD", "ready"], "interval_s": 5, "retries": 2})
}

/// What is wrong with each: a document, and what is told in the end.
fn broken() -> Vec<(&'static str, Vec<u8>, Code)> {
    let one = |fields: Value| {
        let mut service = json!({"name": "a", "image": "demo:1"});
        service.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        document(json!([service]))
    };
    let after_a_job =
        document(json!([{"name": "a", "image": "demo:1", "depends_on": on("job", "completed")},
        {"name": "job", "image": "job:bad", "restart": "never"}]));
    vec![
        ("no-document", b"{".to_vec(), Code::InvalidSpec),
        ("unknown-type", br#"{"type": "PodmanV9", "data": {}}"#.to_vec(), Code::UnsupportedType),
        ("refused", one(json!({"image": "Not An Image"})), Code::InvalidSpec),
        ("no-image", one(json!({"image": "absent:1", "pull": "never"})), Code::ImageMissing),
        ("unknown-image", one(json!({"image": "unknown:1"})), Code::ImagePull),
        ("stalls", one(json!({"image": "stalls:1"})), Code::ImagePull),
        ("closed", one(json!({"image": "closed:1"})), Code::RegistryAuth),
        ("no-credential", one(json!({"image": "private:1", "registry_auth": "absent"})), Code::RegistryAuth),
        ("no-secret", one(json!({"secrets": [{"name": "absent", "env": "KEY"}]})), Code::Start),
        ("no-volume", one(json!({"volumes": ["/absent:/data"]})), Code::Start),
        ("port", one(json!({"ports": ["8080:80"]})), Code::PortInUse),
        ("loops", one(json!({"image": "loops:1"})), Code::CrashLoop),
        ("unhealthy", one(json!({"healthcheck": check()})), Code::Unhealthy),
        ("waits", after_a_job, Code::Exited),
        ("fails", one(json!({"image": "job:bad", "restart": "never"})), Code::Exited),
        ("no-user", one(json!({"user": "nobody-here"})), Code::Start),
        ("hangs", one(json!({"image": "deaf:1"})), Code::Start),
        ("taken", one(json!({})), Code::NameConflict),
    ]
}

/// One of each kind in turn.
fn sound(n: usize) -> (String, Vec<u8>) {
    let port = format!("{}:80", 9000 + n);
    let services = match n % 8 {
        0 => json!([{"name": "a", "image": "demo:1"}]),
        1 => json!([{"name": "a", "image": "job:good", "restart": "never"}]),
        2 => json!([{"name": "a", "image": "demo:1", "depends_on": on("b", "healthy")},
                    {"name": "b", "image": "demo:2", "healthcheck": check()}]),
        3 => json!([{"name": "a", "image": "demo:1", "depends_on": on("b", "completed")},
                    {"name": "b", "image": "job:good", "restart": "on-failure"}]),
        4 => json!([{"name": "a", "image": "demo:2", "ports": [port]}]),
        5 => json!([{"name": "a", "image": "demo:3", "network": "host", "files":
                    [{"path": "/etc/app", "content": "x"}], "secrets": [{"name": "key", "env": "KEY"}]}]),
        6 => json!([{"name": "a", "image": "near:1", "volumes": ["data:/data"]}]),
        _ => {
            json!([{"name": "a", "image": "demo:1"}, {"name": "b", "image": "demo:2"}, {"name": "c", "image": "demo:3"}])
        }
    };
    (format!("sound-{n}"), document(services))
}

async fn begin() -> Story {
    let story = Story::begin().await;
    let image = |name: &str, program| story.runtime.add_image_with(name, program);
    image("job:good", Program::exits(seconds(5), 0));
    image("job:bad", Program::exits(seconds(5), 3));
    image("loops:1", Program::exits(seconds(1), 1));
    image("deaf:1", Program::deaf());
    let registry = |name: &str, registry| story.runtime.registry(name, registry);
    registry("near:1", Registry::has_slowly(Program::polite(), 5, seconds(1)));
    registry("stalls:1", Registry::stalls_after(3, seconds(1)));
    registry("closed:1", Registry::fails(ErrorKind::RegistryAuth, "unauthorized"));
    registry("private:1", Registry::has(Program::polite()).only_for("me", "pw"));
    story.vault.put("key", "value");
    story.runtime.occupy_port(8080);
    story.runtime.refuses(Op::Create, "fleet-no-volume.a", "statfs /absent: no such file or directory");
    story.runtime.refuses(Op::Start, "fleet-no-user.a", "unable to find user nobody-here");
    story.runtime.refuses(Op::Start, "fleet-hangs.a", "crun: cannot find device");
    story.runtime.set_run("fleet-unhealthy.a", Run::Ended { code: 1, said: "no".into() });
    story.runtime.foreign_container("fleet-taken.a");
    story
}

/// How long after its document each came to `Running` or `Completed`.
async fn times(story: &Story, sound: &[(String, Vec<u8>)]) -> BTreeMap<String, Duration> {
    let (began, mut times) = (Instant::now(), BTreeMap::new());
    while times.len() < sound.len() {
        for (name, _) in sound.iter().filter(|(name, _)| story.is_there(name)) {
            times.entry(name.clone()).or_insert_with(|| began.elapsed());
        }
        assert!(began.elapsed() < seconds(120), "only {times:?}");
        story.pass(Duration::from_millis(20)).await;
    }
    times
}

fn pulls(all: &[(String, Vec<u8>)], name: &str) -> bool {
    let of = all.iter().find(|(other, _)| other == name);
    of.is_some_and(|(_, document)| String::from_utf8_lossy(document).contains("near:1"))
}

impl Story {
    fn is_there(&self, name: &str) -> bool {
        matches!(self.phase(name), Some(Phase::Running | Phase::Completed))
    }
}

#[tokio::test(start_paused = true)]
async fn none_of_fifty_deployments_is_delayed_by_those_that_are_broken_in_every_way() {
    let broken = broken();
    let sound: Vec<_> = (0..ALL - broken.len()).map(sound).collect();
    let (alone, beside) = (begin().await, begin().await);
    sound.iter().for_each(|(name, document)| _ = alone.apply(name, document.clone()));
    let without = times(&alone, &sound).await;
    drop(alone);

    // The broken ones first: whatever is done in the order of arrival is done for them.
    broken.iter().for_each(|(name, document, _)| _ = beside.apply(name, document.clone()));
    sound.iter().for_each(|(name, document)| _ = beside.apply(name, document.clone()));
    let with = times(&beside, &sound).await;
    for (name, time) in &without {
        // Two pulls at once is the limit, and one that stalls is ended after a minute.
        let allowed = if pulls(&sound, name) { seconds(60) } else { Duration::from_millis(500) };
        let later = with[name].saturating_sub(*time);
        assert!(later <= allowed, "{name} took {:?} instead of {time:?}", with[name]);
    }

    let pids = |s: &Story| -> BTreeMap<_, _> {
        s.pids().into_iter().filter(|(name, _)| name.starts_with("fleet-sound-")).collect()
    };
    let before = pids(&beside);
    for (name, _, code) in &broken {
        beside.within(seconds(300), &format!("{name} says why"), |s| s.code(name) == Some(*code)).await;
    }
    beside.pass(10 * TICK).await;
    assert_eq!(pids(&beside), before, "the others run on");
    assert!(sound.iter().all(|(name, _)| beside.is_there(name)));
    // None of the many attempts holds up what comes later.
    let began = Instant::now();
    beside.apply_and_run("late", demo("demo:1")).await;
    assert!(began.elapsed() < seconds(1), "{:?}", began.elapsed());
}
