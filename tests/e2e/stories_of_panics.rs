//! Every actor panics, once or for ever; containers do not notice.
use crate::device::{Device, ID, Lives};
use crate::documents::{deployment, steady};
use crate::patience::PATIENCE;
use crate::tree::{ROOT, actors_when, all_up, incarnation, is_restarted_with};
use serde_json::{Value, json};

/// The drawing in docs/supervision.md, without its root.
const PATHS: [&str; 12] = [
    "ownership",
    "runtime",
    "runtime/effects",
    "runtime/observer",
    "reconcilers",
    "reconcilers/web",
    "deployments",
    "link",
    "link/kv_watcher",
    "link/reporter",
    "link/heartbeat",
    "link/command_server",
];

fn is_known(name: &str) -> bool {
    let path = name.strip_prefix("fleet-agent/").unwrap_or(name);
    path == ROOT || PATHS.contains(&path) || path.starts_with("reconcilers/")
}

/// What runs before a fault.
async fn device() -> Device {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    device
}

/// A new process, which has taken over what runs.
async fn fresh(device: &mut Device) {
    // Its end is a `kill -9`, if it had not come to one.
    drop(device.agent.take());
    device.boot();
    let instance = device.operator.ask_when_up("ping").await.body["instance"].clone();
    let adopted = |beat: &Value| {
        let deployments = &beat["deployments"];
        beat["instance"] == instance && deployments["running"] == deployments["total"]
    };
    device.heartbeat("the new process has adopted what runs", adopted).await;
}

/// Has the actor handle something soon.
async fn stir(device: &Device, path: &str) {
    let child = match path {
        // A supervisor hears of its children only, and only when something becomes of them.
        "fleet-agent/runtime" => Some("observer"),
        "fleet-agent/link" => Some("heartbeat"),
        _ => None,
    };
    let verb = if child.is_some() { "actor-restart" } else { "ping" };
    let request = child.map_or(json!({}), |name| json!({"name": name}));
    // The answer is not waited for: it may be what the panic prevents.
    let subject = format!("device-command.{ID}.{verb}");
    let inbox = device.operator.client.new_inbox();
    let request = serde_json::to_vec(&request).unwrap();
    device.operator.client.publish_with_reply(subject, inbox, request.into()).await.unwrap();
}

/// One panic of the actor at `path`, in a fresh process.
async fn panics_once(device: &mut Device, path: &str, round: &str) {
    fresh(device).await;
    let before = actors_when(device, "all are up", all_up).await;
    let unknown = before.keys().find(|name| !is_known(name));
    assert_eq!(unknown, None, "an actor that has no turn here");
    let lives = device.lives();
    let point = format!("actor:{path}");
    device.arm(&point, "panic");
    stir(device, path).await;
    // Work for everybody.
    let revision = device.put(round, deployment(&[steady("a")])).await;
    device.happened(&point).await;

    let told =
        |error: &Value| error["cause"] == "panic" && error["message"] == format!("fault point actor {path}");
    let healed = |actor: &Value| told(&actor["last_error"]);
    let after = actors_when(device, "it is told and healed", |all| all_up(all) && healed(&all[path])).await;
    for (name, was) in &before {
        let (was, is) = (incarnation(was), incarnation(&after[name]));
        let restarted = was.0 != is.0 && was.1.as_u64() < is.1.as_u64();
        match is_restarted_with(path, name) {
            true => {
                assert!(restarted, "{path} panicked, {name} was not restarted: {was:?} {is:?}")
            }
            false => assert_eq!(was, is, "{path} panicked, and {name} was restarted"),
        }
    }
    device.running(round, revision).await;
    let mut expected = lives;
    let new = format!("fleet-{round}.a");
    expected.insert(new.clone(), device.lives()[&new].clone());
    assert_eq!(device.lives(), expected, "{path} panicked");
}

async fn each_panics_once(paths: &[&str]) {
    let mut device = device().await;
    for (round, path) in paths.iter().enumerate() {
        panics_once(&mut device, &format!("{ROOT}/{path}"), &format!("round-{round}")).await;
    }
}

#[tokio::test]
async fn an_actor_that_panics_is_restarted_with_what_depends_on_it_and_nothing_else() {
    each_panics_once(&["runtime/effects", "deployments", "link/command_server", "reconcilers"]).await;
}

/// What ran then runs now, as the same processes.
fn untouched(device: &Device, then: &Lives) {
    let now = device.lives();
    let mut ran = then.iter().filter(|(_, (_, life))| life.is_some());
    let same = ran.all(|(name, life)| now.get(name) == Some(life));
    assert!(same, "{then:#?}\n{now:#?}\n{}", device.log.tail());
}

/// Its end, with everything that runs untouched; the next process is told of it.
async fn ends_with_70(device: &mut Device, reason: &str) {
    let lives = device.lives();
    // Some hear something every 30 s only, and five panics are borne.
    let patience = if reason.ends_with("/ownership") { 5 * PATIENCE } else { PATIENCE };
    let end = device.agent.take().unwrap().ended_within(patience).await;
    assert_eq!(end.code(), Some(70), "{}", device.log.tail());
    let left = std::fs::read_to_string(device.state_dir().join("last-crash")).unwrap();
    let left: Value = serde_json::from_str(&left).unwrap();
    assert!(left["reason"].as_str().unwrap().contains(reason), "{left}");
    untouched(device, &lives);
    let _ = std::fs::remove_dir_all(device.faults_dir());
    device.boot();
    let begun = left["at"].as_str().unwrap();
    let tells = |beat: &Value| beat["last_crash"].as_str().is_some_and(|told| told.starts_with(begun));
    device.heartbeat("the next process tells of it", tells).await;
    fresh(device).await;
    untouched(device, &lives);
}

/// Panics from its first message on, in a fresh process, until its process ends.
async fn panics_until_the_process_ends(device: &mut Device, path: &str) {
    drop(device.agent.take());
    device.arm(&format!("actor:{path}"), "panic always");
    // Work, without which some hear nothing.
    let name = format!("for-{}", path.replace(['/', '_'], "-"));
    device.put(&name, deployment(&[steady("a")])).await;
    device.boot();
    ends_with_70(device, path).await;
}

#[tokio::test]
async fn an_actor_that_panics_for_ever_ends_the_process_with_70_and_a_word_of_it() {
    let mut device = device().await;
    panics_until_the_process_ends(&mut device, "fleet-agent/deployments").await;
}

#[tokio::test]
async fn a_root_that_panics_ends_the_process_with_70() {
    let mut device = device().await;
    device.arm("actor:fleet-agent", "panic");
    ends_with_70(&mut device, "the root supervisor ended without being asked").await;
}

#[tokio::test]
async fn a_reconciler_that_panics_for_ever_is_parked_and_no_other_notices() {
    let mut device = device().await;
    fresh(&mut device).await;
    let before = actors_when(&device, "all are up", all_up).await;
    let lives = device.lives();
    device.arm("actor:fleet-agent/reconcilers/web", "panic always");
    let web = "fleet-agent/reconcilers/web";
    let after = actors_when(&device, "it is parked", |all| all[web]["state"] == "parked").await;
    for (name, was) in before.iter().filter(|(name, _)| *name != web) {
        assert_eq!(incarnation(was), incarnation(&after[name]), "{name}");
    }
    assert_eq!(after[web]["last_error"]["cause"], "panic");
    // The others go on; a container of the parked one runs on.
    device.apply("other", deployment(&[steady("a"), steady("c")])).await;
    untouched(&device, &lives);
    device.disarm("actor:fleet-agent/reconcilers/web");
    let restart = device.operator.ask("actor-restart", json!({"name": web})).await;
    assert_eq!(restart.code, 200, "{restart:?}");
    actors_when(&device, "it is back", all_up).await;
    device.apply("web", deployment(&[steady("a"), steady("b"), steady("c")])).await;
    untouched(&device, &lives);
}

#[tokio::test]
async fn an_actor_whose_start_fails_is_tried_again_and_counted() {
    let mut device = device().await;
    let lives = device.lives();
    drop(device.agent.take());
    for path in ["fleet-agent/deployments", "fleet-agent/link/kv_watcher"] {
        device.arm(&format!("start:{path}"), "panic 3");
    }
    device.boot();
    for path in ["fleet-agent/deployments", "fleet-agent/link/kv_watcher"] {
        device.happened(&format!("start:{path}")).await;
        let back = |all: &crate::tree::Actors| all_up(all) && all[path]["restarts"] == 3;
        let after = actors_when(&device, "it is up in the end", back).await;
        assert_eq!(after[path]["last_error"]["cause"], "start", "{after:#?}");
    }
    device.apply("other", deployment(&[steady("a"), steady("c")])).await;
    untouched(&device, &lives);
}

#[tokio::test]
async fn an_actor_that_never_starts_ends_the_process_with_70_and_a_word_of_it() {
    let mut device = device().await;
    drop(device.agent.take());
    device.arm("start:fleet-agent/runtime/observer", "panic always");
    device.boot();
    ends_with_70(&mut device, "fleet-agent/runtime/observer").await;
}

mod long {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn every_actor_panics_in_turn_in_a_fresh_process() {
        let (first, second) = PATHS.split_at(PATHS.len() / 2);
        tokio::join!(each_panics_once(first), each_panics_once(second));
    }

    #[tokio::test]
    async fn every_actor_whose_panics_escalate_ends_the_process_with_70() {
        let mut device = device().await;
        for path in ["runtime", "runtime/effects", "runtime/observer", "reconcilers", "link"] {
            panics_until_the_process_ends(&mut device, &format!("{ROOT}/{path}")).await;
        }
    }

    #[tokio::test]
    async fn an_actor_that_panics_rarely_but_for_ever_ends_the_process_with_70() {
        let mut device = device().await;
        panics_until_the_process_ends(&mut device, "fleet-agent/ownership").await;
    }

    #[tokio::test]
    async fn every_actor_that_never_starts_ends_the_process_with_70() {
        let mut device = device().await;
        for path in ["ownership", "runtime/effects", "deployments"] {
            drop(device.agent.take());
            device.arm(&format!("start:{ROOT}/{path}"), "panic always");
            device.boot();
            ends_with_70(&mut device, path).await;
        }
    }

    #[tokio::test]
    async fn an_actor_of_the_link_that_panics_for_ever_parks_the_link_and_containers_are_kept_up() {
        let mut device = device().await;
        for path in ["kv_watcher", "reporter", "command_server"] {
            link_parks(&mut device, path).await;
            device.disarm(&format!("actor:{ROOT}/link/{path}"));
        }
    }

    #[tokio::test]
    async fn a_parked_link_is_tried_again_after_five_minutes() {
        let mut device = device().await;
        link_parks(&mut device, "heartbeat").await;
        let pid = device.agent.as_ref().unwrap().pid();
        device.disarm("actor:fleet-agent/link/heartbeat");
        let serves = async || device.operator.ask_raw("ping", "{}").await.map(drop);
        device.within(Duration::from_secs(400), "commands are answered again", serves).await;
        device.several_ticks().await;
        device.apply("other", deployment(&[steady("a"), steady("c")])).await;
        let agent = device.agent.as_mut().unwrap();
        assert_eq!((agent.pid(), agent.end()), (pid, None));
    }

    async fn link_parks(device: &mut Device, name: &str) {
        drop(device.agent.take());
        let said_before = device.log.text().len();
        let path = format!("{ROOT}/link/{name}");
        device.arm(&format!("actor:{path}"), "panic always");
        device.boot();
        let parked = format!("9 crashes within 300s, the last one of {path}");
        let look = async || match device.log.text()[said_before..].contains(&parked) {
            true => Ok(()),
            false => Err("it does not say so".to_owned()),
        };
        device.eventually("the link is parked", look).await;
        let silent = async || match device.operator.ask_raw("ping", "{}").await {
            Err(error) if error.contains("no responders") => Ok(()),
            other => Err(format!("{other:?}")),
        };
        device.eventually("nobody answers", silent).await;
        // It still repairs what dies, and nothing else changed.
        let before = device.lives();
        device.world.podman(&["kill", "--signal=KILL", "fleet-web.a"]);
        let back = |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
            let life = all["fleet-web.a"].life;
            life.is_some() && life != before["fleet-web.a"].1
        };
        device.seen("what died runs again", back).await;
        let others = |lives: &crate::device::Lives| {
            lives
                .iter()
                .filter(|(name, _)| *name != "fleet-web.a")
                .map(|(n, l)| (n.clone(), l.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(others(&device.lives()), others(&before));
        let agent = device.agent.as_mut().unwrap();
        assert_eq!(agent.end(), None, "a parked link ends no process");
    }
}
