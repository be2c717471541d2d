//! Documents that end what acts on them: their reconciler, or the whole process.
use crate::device::Device;
use crate::documents::{deployment, steady};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;

const SIGABRT: i32 = 6;

/// Two deployments that must not notice anything.
async fn neighbours() -> Device {
    let device = Device::new().await;
    device.apply("a", deployment(&[steady("x")])).await;
    device.apply("b", deployment(&[steady("x")])).await;
    device
}

fn is_quarantined(state: &Value) -> bool {
    state["phase"] == "Failed" && state["last_error"]["code"] == "quarantined"
}

/// The neighbours' containers are the ones that they were, and nothing else of them was restarted.
async fn undisturbed(device: &Device, before: &crate::device::Lives) {
    let now = device.lives();
    assert!(before.iter().all(|(name, life)| now[name] == *life), "{before:?}\n{now:?}");
    for name in ["a", "b"] {
        let state = device.state(name, "it runs", |state| state["phase"] == "Running").await;
        assert_eq!(state["services"]["x"]["restarts"], 0);
    }
}

/// In quarantine, and told as it really is.
async fn tells_what_runs(device: &Device, name: &str) {
    let container = device.containers()[&format!("fleet-{name}.x")].id.clone();
    let so = |state: &Value| {
        let service = &state["services"]["x"];
        is_quarantined(state)
            && state["container_ids"]["x"] == container
            && service["container_id"] == container
            && service["phase"] == "Running"
    };
    device.state(name, "what runs of it is told", so).await;
}

#[tokio::test]
async fn a_document_that_ends_its_reconciler_is_quarantined_and_its_neighbours_do_not_notice() {
    let mut device = neighbours().await;
    device.apply("bad", deployment(&[steady("x")])).await;
    let before = device.lives();
    device.arm("want:bad", "panic always");
    device.put("bad", deployment(&[steady("y")])).await;
    let state = device.state("bad", "it is quarantined", is_quarantined).await;
    assert_eq!(state["last_error"]["retry_at"], Value::Null);
    // What ran of it runs on, too.
    undisturbed(&device, &before).await;
    let actors = device.operator.ask_when_up("actors").await.body;
    for actor in actors["actors"].as_array().unwrap() {
        let is_bad = actor["name"] == "fleet-agent/reconcilers/bad";
        assert!(is_bad || actor["restarts"] == 0, "{actor}");
        assert!(!is_bad || (actor["state"] == "parked" && actor["restarts"] == 4), "the fifth one: {actor}");
    }
    // Nobody starts it again by starting others.
    for name in ["fleet-agent/reconcilers", "fleet-agent/deployments"] {
        let reply = device.operator.ask("actor-restart", serde_json::json!({"name": name})).await;
        assert_eq!(reply.code, 200, "{reply:?}");
        device.several_ticks().await;
        device.state("bad", "it is still quarantined", is_quarantined).await;
    }
    tells_what_runs(&device, "bad").await;
    // The next process does not try it again.
    device.disarm("want:bad");
    device.crash();
    device.boot();
    device.several_ticks().await;
    device.state("bad", "it is still quarantined", is_quarantined).await;
    tells_what_runs(&device, "bad").await;
    undisturbed(&device, &before).await;
    // Another document does.
    device.apply("bad", deployment(&[steady("z")])).await;
    let names: Vec<String> = device.containers().into_keys().collect();
    assert_eq!(names, ["fleet-a.x", "fleet-b.x", "fleet-bad.z"]);
    let neighbours = before.into_iter().filter(|(name, _)| !name.starts_with("fleet-bad")).collect();
    undisturbed(&device, &neighbours).await;
}

#[tokio::test]
async fn a_document_on_whose_operation_the_agent_panics_is_quarantined_and_no_lane_of_another_is_cut() {
    let device = neighbours().await;
    let before = device.lives();
    device.arm("before:Create", "panic always");
    device.put("bad", deployment(&[steady("y")])).await;
    let state = device.state("bad", "it is quarantined", is_quarantined).await;
    assert!(state["last_error"]["message"].as_str().unwrap().contains("panicked"), "{state:#}");
    undisturbed(&device, &before).await;
    let actors = device.operator.ask_when_up("actors").await.body;
    for actor in actors["actors"].as_array().unwrap() {
        let is_bad = actor["name"] == "fleet-agent/reconcilers/bad";
        assert!(is_bad || actor["restarts"] == 0, "{actor}");
    }
    device.disarm("before:Create");
    device.apply("new", deployment(&[steady("x")])).await;
    device.apply("bad", deployment(&[steady("z")])).await;
    undisturbed(&device, &before).await;
}

#[tokio::test]
async fn a_document_that_aborts_the_process_is_quarantined_after_the_second_end() {
    let mut device = neighbours().await;
    let before = device.lives();
    device.arm("want:bad", "abort always");
    device.put("bad", deployment(&[steady("y")])).await;
    for _ in 1..=2 {
        let end = device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(SIGABRT), "{end}\n{}", device.log.tail());
        cannot_begin(&mut device).await;
        device.boot();
    }
    let state = device.state("bad", "it is quarantined", is_quarantined).await;
    assert!(state["last_error"]["message"].as_str().unwrap().contains("SIGABRT"), "{state:#}");
    device
        .heartbeat("the end is told", |beat| beat["last_crash"].as_str().is_some_and(|t| t.contains("bad")))
        .await;
    undisturbed(&device, &before).await;
    // The agent does all else.
    device.apply("new", deployment(&[steady("x")])).await;
    device.disarm("want:bad");
    let reply = device.operator.ask("reconcile", serde_json::json!({"deployment": "bad"})).await;
    assert_eq!(reply.code, 200, "{reply:?}");
    device.state("bad", "it was tried again", |state| state["phase"] == "Running").await;
    undisturbed(&device, &before).await;
}

/// A process that has no state directory is no end of its own, and takes no evidence away.
async fn cannot_begin(device: &mut Device) {
    let (records, aside) = (device.state_dir().join("deployments"), device.state_dir().join("aside"));
    std::fs::rename(&records, &aside).unwrap();
    std::fs::write(&records, "no directory").unwrap();
    device.boot();
    assert_eq!(device.agent.take().unwrap().ended().await.code(), Some(70), "{}", device.log.tail());
    std::fs::remove_file(&records).unwrap();
    std::fs::rename(&aside, &records).unwrap();
}

/// Neither takes the count from the other.
#[tokio::test]
async fn two_documents_that_abort_the_process_are_both_quarantined_after_two_ends_each() {
    let mut device = neighbours().await;
    let before = device.lives();
    for name in ["bad", "worse"] {
        device.apply(name, deployment(&[steady("x")])).await;
        device.arm(&format!("want:{name}"), "abort always");
    }
    device.crash();
    device.boot();
    for _ in 1..=4 {
        let end = device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(SIGABRT), "{end}\n{}", device.log.tail());
        device.boot();
    }
    for name in ["bad", "worse"] {
        device.state(name, "it is quarantined", is_quarantined).await;
    }
    undisturbed(&device, &before).await;
}

/// One that was never accepted; and one that the device has long had, which is read at each start.
#[tokio::test]
async fn documents_that_abort_the_process_that_reads_them_are_not_read_again_after_the_second_end() {
    let mut device = neighbours().await;
    device.arm("read:new", "abort always");
    device.put("new", deployment(&[steady("y")])).await;
    ends_twice(&mut device).await;
    device.state("new", "it is quarantined", is_quarantined).await;
    device.apply("worse", deployment(&[steady("x")])).await;
    let before = device.lives();
    assert_eq!(before.len(), 3);
    device.arm("read:worse", "abort always");
    device.crash();
    device.boot();
    ends_twice(&mut device).await;
    tells_what_runs(&device, "worse").await;
    device.state("new", "it is still quarantined", is_quarantined).await;
    undisturbed(&device, &before).await;
    for name in ["new", "worse"] {
        device.disarm(&format!("read:{name}"));
        let reply = device.operator.ask("reconcile", serde_json::json!({"deployment": name})).await;
        assert_eq!(reply.code, 200, "{reply:?}");
        device.state(name, "it was read again", |state| state["phase"] == "Running").await;
    }
    undisturbed(&device, &before).await;
}

/// By its own doing; the third one runs.
async fn ends_twice(device: &mut Device) {
    for _ in 1..=2 {
        let end = device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(SIGABRT), "{end}\n{}", device.log.tail());
        device.boot();
    }
}

/// `kill -9` is nobody's fault.
#[tokio::test]
async fn an_agent_that_is_killed_while_it_acts_on_a_document_blames_nobody() {
    let mut device = neighbours().await;
    let before = device.lives();
    device.arm("want:new", "kill 4");
    device.put("new", deployment(&[steady("y")])).await;
    for _ in 1..=4 {
        let end = device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(9), "{end}");
        device.boot();
    }
    device.state("new", "it runs", |state| state["phase"] == "Running").await;
    let beat = device.heartbeat("a beat", |beat| beat["deployments"]["running"] == 3).await;
    assert_eq!((&beat["last_crash"], &beat["health"]), (&Value::Null, &Value::from("ok")));
    undisturbed(&device, &before).await;
}

#[tokio::test]
async fn after_several_ends_in_a_row_the_agent_only_looks_and_can_be_looked_at() {
    let mut device = neighbours().await;
    let before = device.lives();
    let pid_of_a = before["fleet-a.x"].1.unwrap();
    device.arm("actor:fleet-agent/runtime/observer", "abort 4");
    for _ in 1..=4 {
        let end = device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(SIGABRT), "{end}");
        device.boot();
    }
    device
        .heartbeat("it says why nothing happens", |beat| {
            beat["reasons"].as_array().is_some_and(|all| all.contains(&Value::from("crash-loop")))
        })
        .await;
    // Nothing is changed: what dies stays down until the time is over.
    std::process::Command::new("kill").arg("-9").arg(pid_of_a.pid.to_string()).status().unwrap();
    device.operator.ask_when_up("actors").await;
    assert_eq!(device.lives()["fleet-b.x"], before["fleet-b.x"]);
    device
        .state("a", "it runs again", |state| {
            state["phase"] == "Running" && state["services"]["x"]["restarts"] == 1
        })
        .await;
    device.heartbeat("all is well", |beat| beat["health"] == "ok").await;
    assert_eq!(device.lives()["fleet-b.x"], before["fleet-b.x"]);
}

mod long {
    use super::*;

    #[tokio::test]
    async fn a_document_that_hangs_the_process_is_quarantined_after_the_second_end() {
        let mut device = neighbours().await;
        let before = device.lives();
        device.arm("want:bad", "spin always");
        device.put("bad", deployment(&[steady("y")])).await;
        for _ in 1..=2 {
            let end = device.agent.take().unwrap().ended().await;
            assert_eq!(end.code(), Some(70), "{}", device.log.tail());
            device.boot();
        }
        device.state("bad", "it is quarantined", is_quarantined).await;
        undisturbed(&device, &before).await;
        device.apply("new", deployment(&[steady("x")])).await;
    }

    /// The actor that hangs is `deployments`, and what it hangs on was never accepted.
    #[tokio::test]
    async fn a_document_that_hangs_the_process_that_reads_it_is_not_read_again_after_the_second_end() {
        let mut device = neighbours().await;
        let before = device.lives();
        device.arm("read:new", "spin always");
        device.put("new", deployment(&[steady("y")])).await;
        for _ in 1..=2 {
            let end = device.agent.take().unwrap().ended().await;
            assert_eq!(end.code(), Some(70), "{}", device.log.tail());
            device.boot();
        }
        device.state("new", "it is quarantined", is_quarantined).await;
        undisturbed(&device, &before).await;
        device.apply("other", deployment(&[steady("x")])).await;
    }
}
