//! The private worlds in which the other real tests live: what they promise to their guests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct World(PathBuf);

impl World {
    /// Up, with the demo image in it.
    fn new(name: &str) -> Self {
        let parent = std::env::var_os("FLEET_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let world = Self(parent.join(format!("w-{name}-{}", std::process::id())));
        world.script("up", &[]);
        world.script("image", &["localhost/demo:v1"]);
        world
    }

    fn script(&self, command: &str, arguments: &[&str]) -> String {
        let output = self.try_script(command, arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{command} {arguments:?} in {}:\n{out}{err}", self.0.display());
        out
    }

    fn try_script(&self, command: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/world");
        Command::new(script).arg(command).arg(&self.0).args(arguments).output().unwrap()
    }

    fn podman(&self, arguments: &[&str]) -> String {
        self.script("podman", arguments)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.try_script("down", &[]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

const RUN: [&str; 7] = ["run", "-d", "--name=web", "--network=shop", "--network-alias=web", "-p", "18080:80"];

#[test]
fn two_worlds_with_the_same_names_and_ports_do_not_see_each_other() {
    let worlds = [World::new("a"), World::new("b")];
    for (world, page) in worlds.iter().zip(["TEXT=first", "TEXT=second"]) {
        world.podman(&["network", "create", "shop"]);
        world.podman(&[&RUN[..], &["-e", page, "localhost/demo:v1"]].concat());
    }
    for (world, page) in worlds.iter().zip(["first", "second"]) {
        let fetch = ["--retry-connrefused", "--retry", "5", "-s", "http://127.0.0.1:18080/"];
        assert_eq!(world.script("exec", &[&["curl"], &fetch[..]].concat()), page);
        let by_name = ["run", "--rm", "--network=shop", "localhost/demo:v1", "wget", "-qO-", "http://web/"];
        assert_eq!(world.podman(&by_name), page);
    }
}

#[test]
fn a_container_outlives_a_killed_podman_and_obeys_the_next_one() {
    let world = World::new("k");
    world.podman(&["run", "-d", "--name=x", "localhost/demo:v1", "work"]);
    let pid = world.podman(&["inspect", "-f", "{{.State.Pid}}", "x"]);
    world.script("kill", &["podman"]);
    assert!(Path::new("/proc").join(&pid).exists());
    world.script("start", &["podman"]);
    assert_eq!(world.podman(&["inspect", "-f", "{{.State.Pid}}", "x"]), pid);
    world.podman(&["stop", "-t", "10", "x"]);
    assert_eq!(world.podman(&["inspect", "-f", "{{.State.ExitCode}}", "x"]), "0");
}

#[test]
fn a_world_goes_without_a_trace_even_when_podman_no_longer_knows_its_containers() {
    let world = World::new("t");
    world.podman(&["run", "-d", "--name=x", "localhost/demo:v1", "work"]);
    let pid = world.podman(&["inspect", "-f", "{{.State.Pid}}", "x"]);
    world.script("spawn", &["guest", "sleep", "1000"]);
    let guest = text(&std::fs::read(world.0.join("guest.pid")).unwrap());
    world.script("kill", &["podman"]);
    std::fs::remove_dir_all(world.0.join("root/libpod")).unwrap();
    let directory = world.0.clone();
    drop(world);
    assert!(!directory.exists());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(directory.to_str().unwrap()), "{mounts}");
    for pid in [pid, guest] {
        // Killed and not yet reaped by its new parent is gone as well.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        assert!(status.is_empty() || status.contains("\nState:\tZ"), "{pid} is still there:\n{status}");
    }
}
