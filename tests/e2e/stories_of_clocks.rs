//! A device whose clock is wrong, and jumps. libfaketime stands in for the clock; the monotonic one is real.
use crate::agent::Agent;
use crate::device::Device;
use crate::documents::{deployment, script, steady, with};
use std::path::Path;
use std::process::Command;

/// The wall clock as the agent sees it, from now on.
fn set(file: &Path, to: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, to).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Where Debian's package puts it.
fn library() -> String {
    let found =
        Command::new("sh").args(["-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1"]).output().unwrap();
    let path = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    assert!(!path.is_empty(), "libfaketime is missing: run scripts/setup");
    path
}

fn boot(device: &mut Device, clock: &Path) {
    let mut command = device.command();
    command
        .env("LD_PRELOAD", library())
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    device.agent = Some(Agent::start(command, &device.log.0));
}

#[tokio::test]
async fn a_clock_in_1970_that_jumps_by_decades_changes_nothing_that_is_done() {
    let mut device = Device::without_agent().await;
    let clock = device.world.path("clock");
    set(&clock, "@1970-01-01 00:10:00");
    boot(&mut device, &clock);
    device.apply("web", deployment(&[steady("a")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let web = device.lives()["fleet-web.a"].clone();
    let beat =
        device.heartbeat("it says that its clock is wrong", |beat| beat["clock_synced"] == false).await;
    assert!(beat["at"].as_str().unwrap().starts_with("1970-"), "{beat}");
    for jump in ["@2055-05-05 05:05:05", "@1999-12-31 23:59:59"] {
        set(&clock, jump);
        device.several_ticks().await;
        changes_as_ever(&device, jump).await;
        assert_eq!(device.lives()["fleet-web.a"], web, "after a jump to {jump}");
    }
    // The next process begins before the one before it.
    device.crash();
    set(&clock, "@1970-01-02 00:00:00");
    boot(&mut device, &clock);
    device.operator.ask_when_up("ping").await;
    changes_as_ever(&device, "a boot in 1970").await;
    assert_eq!(device.lives()["fleet-web.a"], web);
}

/// A wait that was planned by the wall clock would be over at once, or never.
#[tokio::test]
async fn a_clock_that_jumps_while_a_container_waits_to_be_tried_again_changes_nothing_of_the_wait() {
    let mut device = Device::without_agent().await;
    let clock = device.world.path("clock");
    let starts = device.directory("starts").join("at");
    set(&clock, "@2026-06-01 12:00:00");
    boot(&mut device, &clock);
    // Each start notes the time of the kernel, which nobody sets.
    let note = script("a", "cut -d' ' -f1 /proc/uptime >> /starts/at; exit 1");
    let volume = format!("{}:/starts", starts.parent().unwrap().display());
    let broken = with(note, serde_json::json!({"volumes": [volume]}));
    device.put("broken", deployment(&[broken])).await;
    for (begun, jump) in
        [(3, "@2036-06-01 12:00:00"), (4, "@1970-01-02 00:00:00"), (5, "@2026-06-01 12:00:00")]
    {
        device.lines(&starts, "it was tried again", |lines| lines.len() >= begun).await;
        set(&clock, jump);
    }
    device.lines(&starts, "and again after the last jump", |lines| lines.len() >= 6).await;
    let text = std::fs::read_to_string(&starts).unwrap();
    let at: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
    for (n, pair) in at.windows(2).enumerate().skip(1) {
        // 1, 2, 4, 8 s, less 20 %: not sooner. Later it may be, on a busy machine, but it comes.
        let least = 0.8 * f64::from(1 << (n - 1));
        assert!(pair[1] - pair[0] >= least, "try {n}: {at:?}");
    }
}

/// Repairs, changes and removals.
async fn changes_as_ever(device: &Device, after: &str) {
    let before = device.life("fleet-other.a");
    assert!(Command::new("kill").args(["-9", &before.pid.to_string()]).status().unwrap().success());
    let is_back = |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
        all.get("fleet-other.a").and_then(|seen| seen.life).is_some_and(|life| life != before)
    };
    device.seen(&format!("it is repaired after {after}"), is_back).await;
    device.apply("new", deployment(&[steady("b")])).await;
    device.operator.delete("new").await;
    device.seen(&format!("it is removed after {after}"), |all| !all.contains_key("fleet-new.b")).await;
}
