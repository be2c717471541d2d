//! Signals to the agent's process, its exit codes, and who may own a state directory.
use crate::agent::{Agent, command};
use crate::device::{Device, ID};
use crate::documents::{deployment, steady};
use crate::patience::patiently;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// The same configuration with another state directory.
fn elsewhere(device: &Device, state_dir: &str, name: &str) -> std::path::PathBuf {
    let text = std::fs::read_to_string(device.config()).unwrap();
    let text = text.replace(device.state_dir().to_str().unwrap(), state_dir);
    let path = device.world.path(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn code(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Each row of the table of exit codes in docs/supervision.md that needs no daemon to run on.
#[tokio::test]
async fn the_process_ends_with_the_code_that_is_promised_and_the_daemon_never_with_0() {
    let mut device = Device::without_agent().await;
    let good = device.config();
    let broken = device.world.path("broken.toml");
    std::fs::write(&broken, "[agent]\n").unwrap();
    let absent = device.world.path("absent.toml");
    let file = device.world.path("a-file");
    std::fs::write(&file, "").unwrap();
    let no_directory = elsewhere(&device, file.to_str().unwrap(), "no-directory.toml");
    let bad_url = device.world.path("bad-url.toml");
    let text = std::fs::read_to_string(&good).unwrap().replace(&device.nats.url(), "nats://host:port");
    std::fs::write(&bad_url, text).unwrap();
    let rows: [(&Path, &[&str], i32); 14] = [
        (&good, &["--help"], 0),
        (&good, &["--version"], 0),
        (&good, &["check-config"], 0),
        (&good, &["self-test"], 0),
        (&good, &["--self-test"], 0),
        (&no_directory, &["self-test"], 1),
        (&good, &["fly"], 64),
        (&good, &["run", "--fast"], 64),
        (&broken, &["check-config"], 64),
        (&broken, &["run"], 64),
        (&broken, &[], 64),
        (&absent, &["run"], 64),
        (&bad_url, &["run"], 64),
        (&no_directory, &["run"], 70),
    ];
    for (config, arguments, expected) in rows {
        let mut command = command(config);
        command.args(arguments);
        let (code, said) = code(command);
        assert_eq!(code, Some(expected), "{arguments:?} {}: {said}", config.display());
    }
    // Its tree gives up, and somebody asks it to end.
    device.arm("actor:fleet-agent/deployments", "panic always");
    device.boot();
    assert_eq!(device.agent.take().unwrap().ended().await.code(), Some(70), "{}", device.log.tail());
    device.disarm("actor:fleet-agent/deployments");
    for (signal, expected) in [("INT", 130), ("TERM", 143)] {
        device.boot();
        device.operator.ask_when_up("ping").await;
        let (second, said) = code({
            let mut second = command(&good);
            second.arg("run");
            second
        });
        assert_eq!(second, Some(69), "{said}");
        let agent = device.agent.take().unwrap();
        agent.signal(signal);
        assert_eq!(agent.ended().await.code(), Some(expected), "{}", device.log.tail());
    }
}

#[tokio::test]
async fn stray_signals_are_ignored_or_an_ordered_stop_and_touch_no_container() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    let instance = device.operator.ask_when_up("ping").await.body["instance"].clone();
    for signal in ["HUP", "PIPE", "HUP"] {
        device.agent.as_ref().unwrap().signal(signal);
    }
    device.several_ticks().await;
    assert_eq!(device.operator.ask_when_up("ping").await.body["instance"], instance);
    assert_eq!(device.agent.as_mut().unwrap().end(), None);
    // Also before anything is up.
    for signal in ["TERM", "INT"] {
        drop(device.agent.take());
        device.boot();
        let agent = device.agent.take().unwrap();
        agent.signal(signal);
        let end = agent.ended().await;
        assert_ne!(end.code(), Some(0), "never a success: {end}");
        assert_eq!(device.lives(), before);
    }
}

/// Stopped while the world goes on, and continued.
async fn stopped_while(device: &mut Device, meanwhile: impl AsyncFnOnce(&mut Device)) {
    let web = device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();
    let instance = device.operator.ask_when_up("ping").await.body["instance"].clone();
    let pid = device.agent.as_ref().unwrap().pid();
    device.agent.as_ref().unwrap().signal("STOP");
    // Another cannot take over meanwhile: the lock is held.
    let (second, said) = code({
        let mut second = device.command();
        second.arg("run");
        second
    });
    assert_eq!(second, Some(69), "{said}");
    assert!(said.contains(&format!("process {pid} ")), "{said}");
    let put = device.operator.put("other", deployment(&[steady("a"), steady("c")])).await.unwrap();
    let new = device.operator.put("new", deployment(&[steady("a")])).await.unwrap();
    device.world.podman(&["kill", "--signal=KILL", "fleet-web.b"]);
    meanwhile(device).await;
    assert_eq!(device.lives()["fleet-web.a"], before["fleet-web.a"]);
    device.agent.as_ref().unwrap().signal("CONT");
    device.running("other", put).await;
    device.running("new", new).await;
    let died = before["fleet-web.b"].clone();
    let back = |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
        all["fleet-web.b"].life.is_some() && all["fleet-web.b"].life != died.1
    };
    device.seen("what died meanwhile runs again", back).await;
    device.several_ticks().await;
    let state = device.running("web", web).await;
    assert_eq!(state["services"]["b"]["restarts"], 1, "no double effect: {state:#}");
    let after = device.lives();
    let names = ["fleet-new.a", "fleet-other.a", "fleet-other.c", "fleet-web.a", "fleet-web.b"];
    assert!(after.keys().eq(names.iter()), "each once: {after:#?}");
    for untouched in ["fleet-web.a", "fleet-other.a"] {
        assert_eq!(after[untouched], before[untouched]);
    }
    assert_eq!(device.operator.ask_when_up("ping").await.body["instance"], instance, "the same process");
    assert!(!device.state_dir().join("last-crash").exists());
}

#[tokio::test]
async fn a_stopped_agent_goes_on_where_it_was_and_catches_up_with_what_changed() {
    let mut device = Device::new().await;
    stopped_while(&mut device, async |_| ()).await;
}

#[tokio::test]
async fn a_state_directory_has_one_owner_by_whatever_path_it_is_named() {
    let mut device = Device::without_agent().await;
    std::fs::create_dir(device.state_dir()).unwrap();
    let link = device.world.path("link");
    std::os::unix::fs::symlink(device.state_dir(), &link).unwrap();
    device.boot();
    device.operator.ask_when_up("ping").await;
    let dotted = format!("{}/../state/.", device.state_dir().display());
    for (n, path) in [link.to_str().unwrap(), &dotted].into_iter().enumerate() {
        let mut second = command(&elsewhere(&device, path, &format!("second-{n}.toml")));
        second.arg("run");
        let (code, said) = code(second);
        assert_eq!(code, Some(69), "{path}: {said}");
    }
    let mut relative = command(&elsewhere(&device, "state", "relative.toml"));
    relative.arg("run").current_dir(device.world.path("."));
    let (code, said) = code(relative);
    assert!(code == Some(69) || code == Some(64), "{said}");
}

#[tokio::test]
async fn of_ten_agents_that_start_at_once_exactly_one_owns_the_state_directory() {
    let mut device = Device::without_agent().await;
    let mut agents: Vec<Agent> = (0..10).map(|_| Agent::start(device.command(), &device.log.0)).collect();
    let mut ends = Vec::new();
    let one_left = patiently(async || {
        agents.retain_mut(|agent| agent.end().map(|end| ends.push(end.code())).is_none());
        if agents.len() <= 1 { Ok(()) } else { Err(format!("{} run", agents.len())) }
    });
    one_left.await.unwrap();
    assert_eq!(ends, [Some(69); 9], "{}", device.log.tail());
    device.agent = agents.pop();
    device.apply("web", deployment(&[steady("a")])).await;
    assert_eq!(device.operator.ask("ping", json!({})).await.body["device_id"], ID);
    // The next one comes in at once.
    device.crash();
    device.boot();
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
}

mod long {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn an_agent_that_was_stopped_for_five_minutes_goes_on_and_catches_up() {
        let mut device = Device::new().await;
        // That time passes is what is tested.
        let pass = async |_: &mut Device| tokio::time::sleep(Duration::from_secs(300)).await;
        stopped_while(&mut device, pass).await;
    }
}
