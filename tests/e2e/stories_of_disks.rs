//! Disks that run full, break, and lie, under the real agent.
use crate::device::Device;
use crate::disk::{Disk, flip, tear};
use crate::documents::{deployment, steady, with};
use serde_json::Value;

fn says(reason: &'static str) -> impl Fn(&Value) -> bool {
    move |beat| beat["reasons"].as_array().is_some_and(|all| all.iter().any(|said| said == reason))
}

fn is_well(beat: &Value) -> bool {
    beat["health"] == "ok"
}

#[tokio::test]
async fn on_a_full_disk_nothing_new_is_done_what_runs_is_kept_up_and_it_goes_on_when_there_is_room() {
    let mut device = Device::without_agent().await;
    let disk = Disk::in_memory(&device.state_dir(), 256 * 1024);
    device.boot();
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let before = device.lives();
    disk.fill();
    let web = device.put("web", deployment(&[steady("a"), steady("c")])).await;
    let new = device.put("new", deployment(&[steady("a")])).await;
    device.heartbeat("it says so", says("state-not-writable")).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    // A restart changes nothing about it.
    device.crash();
    device.boot();
    device.heartbeat("the next one says so too", says("state-not-writable")).await;
    assert_eq!(device.lives(), before);
    kill(&device, "fleet-web.b");
    device
        .seen("what was accepted is kept up", |all| {
            all.get("fleet-web.b")
                .is_some_and(|seen| seen.life.is_some() && seen.life != before["fleet-web.b"].1)
        })
        .await;
    disk.make_room();
    device.running("web", web).await;
    device.running("new", new).await;
    device.heartbeat("all is well", is_well).await;
    let names: Vec<String> = device.containers().into_keys().collect();
    assert_eq!(names, ["fleet-new.a", "fleet-web.a", "fleet-web.c"]);
    assert_eq!(device.lives()["fleet-web.a"], before["fleet-web.a"]);
}

fn kill(device: &Device, container: &str) {
    let pid = device.life(container).pid.to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
}

#[tokio::test]
async fn a_filesystem_that_turns_read_only_under_the_agent_takes_no_document_and_no_container() {
    let mut device = Device::without_agent().await;
    let disk = Disk::ext4(&device.state_dir(), &device.world.path("disk.img"));
    device.boot();
    device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    disk.break_down();
    let web = device.put("web", deployment(&[steady("b")])).await;
    device.heartbeat("it says so", says("state-not-writable")).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    // Nor does one that starts on it.
    device.crash();
    device.boot();
    device.heartbeat("the next one says so too", says("state-not-writable")).await;
    assert_eq!(device.lives(), before);
    device.crash();
    disk.repair().await;
    device.boot();
    device.running("web", web).await;
    device.heartbeat("all is well", is_well).await;
    device.crash();
}

#[tokio::test]
async fn a_filesystem_that_is_made_read_only_is_told_and_all_goes_on_by_itself_when_it_is_writable_again() {
    let mut device = Device::without_agent().await;
    let disk = Disk::ext4(&device.state_dir(), &device.world.path("disk.img"));
    device.boot();
    device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    disk.read_only(true);
    let web = device.put("web", deployment(&[steady("b")])).await;
    device.heartbeat("it says so", says("state-not-writable")).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    disk.read_only(false);
    device.running("web", web).await;
    device.heartbeat("all is well", is_well).await;
    device.crash();
}

#[tokio::test]
async fn a_failed_sync_is_no_success_and_the_next_one_is() {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.arm("disk:sync", "fail 2");
    let revision = device.put("web", deployment(&[steady("b")])).await;
    device.heartbeat("it says so", says("state-not-writable")).await;
    assert_eq!(device.lives(), before);
    device.happened("disk:sync").await;
    device.running("web", revision).await;
    device.heartbeat("all is well", is_well).await;
}

#[tokio::test]
async fn an_agent_that_starts_on_a_disk_that_fails_every_sync_keeps_up_what_runs() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.arm("disk:sync", "fail always");
    device.crash();
    device.boot();
    device.put("new", deployment(&[steady("a")])).await;
    device.heartbeat("it says so", says("state-not-writable")).await;
    assert_eq!(device.lives(), before);
    kill(&device, "fleet-web.a");
    let is_back = |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
        all["fleet-web.a"].life.is_some_and(|life| Some(life) != before["fleet-web.a"].1)
    };
    device.seen("what was accepted is kept up", is_back).await;
    device.disarm("disk:sync");
    device.heartbeat("all is well", is_well).await;
}

#[tokio::test]
async fn a_flipped_bit_in_one_copy_is_not_noticed_in_both_it_is_told_and_nothing_is_touched() {
    let mut device = Device::new().await;
    let document = deployment(&[steady("a")]);
    device.apply("web", document.clone()).await;
    device.apply("other", deployment(&[steady("a")])).await;
    // The same bytes again: both copies hold this document.
    device.apply("web", document.clone()).await;
    let before = device.lives();
    let (record, followed) =
        (device.state_dir().join("deployments/web"), device.state_dir().join("followed"));
    for file in [&record, &followed] {
        device.crash();
        flip(file);
        device.boot();
        device.operator.ask_when_up("ping").await;
        device.heartbeat("it counts both", |beat| beat["deployments"]["running"] == 2).await;
        assert_eq!(device.lives(), before, "after a flip in {}", file.display());
    }
    // Both copies, and no server to ask.
    device.apply("web", document.clone()).await;
    device.crash();
    device.nats.down().await;
    flip(&record);
    flip(&record.with_extension("prev"));
    device.boot();
    device.logged("unreadable in both copies").await;
    assert_eq!(device.lives(), before);
    device.nats.up().await;
    device
        .heartbeat("it says so, or is told the document again", |beat| beat["deployments"]["running"] == 2)
        .await;
    device.heartbeat("all is well when it is written again", is_well).await;
    assert_eq!(device.lives(), before);
    assert!(std::fs::read_dir(device.state_dir().join("quarantine")).unwrap().count() >= 1);
}

/// Nobody knows any more what it was: it runs on until a person decides.
#[tokio::test]
async fn a_container_whose_record_was_lost_and_whose_key_is_gone_is_left_alone() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.crash();
    // No second copy of it was ever made.
    tear(&device.state_dir().join("deployments/web"));
    device.operator.forget("web").await;
    device.boot();
    device.heartbeat("it says so", says("state-quarantined")).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    // Written again, it is no longer lost.
    device.put("web", deployment(&[steady("a")])).await;
    device.heartbeat("all is well", |beat| is_well(beat) && beat["deployments"]["running"] == 2).await;
    assert_eq!(device.lives(), before);
}

/// The older document must not bring back what the newer one replaced.
#[tokio::test]
async fn when_only_the_newest_record_is_damaged_and_no_server_is_there_nothing_goes_back_to_the_older_one() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let newer = with(steady("b"), serde_json::json!({"env": {"NEWER": "1"}}));
    let revision = device.apply("web", deployment(&[newer, steady("c")])).await;
    let record = device.state_dir().join("deployments/web");
    for damage in [flip, tear] {
        let before = device.lives();
        device.crash();
        device.nats.down().await;
        damage(&record);
        device.boot();
        device.logged("its newest record cannot be read").await;
        // It is kept up, as it is: the container, not the older document.
        kill(&device, "fleet-web.b");
        let is_back = |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
            all.get("fleet-web.b")
                .and_then(|seen| seen.life)
                .is_some_and(|life| Some(life) != before["fleet-web.b"].1)
        };
        device.seen("what died is started again", is_back).await;
        let now = device.lives();
        assert!(now.keys().eq(["fleet-web.b", "fleet-web.c"]), "{now:?}");
        assert_eq!(
            (&now["fleet-web.b"].0, &now["fleet-web.c"]),
            (&before["fleet-web.b"].0, &before["fleet-web.c"])
        );
        std::fs::write(&device.log.0, "").unwrap();
        device.nats.up().await;
        device.running("web", revision).await;
        device.heartbeat("all is well", is_well).await;
        assert_eq!(device.lives(), now);
    }
}

#[tokio::test]
async fn what_was_deleted_while_the_agent_was_away_goes_when_it_is_back_and_nothing_else_does() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.crash();
    device.operator.delete("web").await;
    device.boot();
    device.seen("it is gone", |all| all.keys().eq(["fleet-other.a"])).await;
    assert_eq!(device.lives()["fleet-other.a"], before["fleet-other.a"]);
}

/// Refused once at each of its steps, a write is made anew, and nothing is acted on before.
async fn every_step_refused(steps: &[&str]) {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    for (n, step) in steps.iter().enumerate() {
        let before = device.lives();
        device.arm(&format!("disk:{step}"), "fail 1");
        let service = format!("s{n}");
        let revision = device.put("web", deployment(&[steady(&service)])).await;
        device.heartbeat(&format!("{step} is refused, which is told"), says("state-not-writable")).await;
        assert_eq!(device.lives(), before, "{step}");
        device.happened(&format!("disk:{step}")).await;
        device.running("web", revision).await;
        device.heartbeat("all is well", is_well).await;
    }
}

#[tokio::test]
async fn a_write_that_is_refused_at_its_last_step_is_made_anew_and_nothing_is_acted_on_before() {
    every_step_refused(&["directory"]).await;
}

mod long {
    use super::*;

    #[tokio::test]
    async fn a_write_that_is_refused_at_any_of_its_steps_is_made_anew_and_nothing_is_acted_on_before() {
        every_step_refused(&["create", "write", "sync", "previous", "rename", "directory"]).await;
    }
}
