//! Debian's docker-registry on 127.0.0.1:5000 of a world, for those only who show a user and a password. It ends
//! with the value.
#![allow(dead_code, reason = "each test binary uses another part of it")]
#![allow(clippy::disallowed_methods)] // It runs without tokio: here it waits by polling.
use crate::podman_world::{DEMO_IMAGE, PodmanWorld};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

pub const IMAGE: &str = "127.0.0.1:5000/plant/private:1";
pub const USER: &str = "edge";
/// In it are the characters that base64's two alphabets write differently.
pub const PASSWORD: &str = "s3cret?>~";
/// bcrypt of the password, at its lowest cost.
const HASHED: &str = "$2b$04$h2k/2wMkNHynfYQo4b9x4.BOIQYfoNyuecB7sv41A4GoBNQAHn8LW";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct PrivateRegistry {
    server: Child,
}

impl PrivateRegistry {
    /// Holds the world's demo image, which the world's own storage has no longer.
    pub fn serve(world: &PodmanWorld) -> Self {
        let file = world.path("htpasswd");
        fs::write(&file, format!("{USER}:{HASHED}\n")).expect("ours");
        let auth = format!("auth: {{htpasswd: {{realm: plant, path: {}}}}}\n", file.display());
        let server = start(world, &auth);
        let credential = format!("{USER}:{PASSWORD}");
        pushed(world, &["push", "--quiet", "--creds", &credential, DEMO_IMAGE, IMAGE]);
        world.podman(&["rmi", "--force", "--all"]);
        Self { server }
    }
}

/// The same program, for everybody.
pub struct OpenRegistry {
    server: Child,
}

impl OpenRegistry {
    /// Holds nothing.
    pub fn serve(world: &PodmanWorld) -> Self {
        Self { server: start(world, "") }
    }

    /// Puts an image of the world there under this name, such as `web:1`; answers with its reference. The world keeps it too.
    pub fn push(&self, world: &PodmanWorld, image: &str, name: &str) -> String {
        let reference = format!("127.0.0.1:5000/{name}");
        pushed(world, &["push", "--quiet", image, &reference]);
        reference
    }

    /// Turns a bit in the largest blob that it holds.
    pub fn tamper(&self, world: &PodmanWorld) {
        let find =
            format!("find {}/data -name data -printf '%s %p\\n' | sort -n | tail -n 1", directory(world));
        let found = world.inside("sh").args(["-c", &find]).output().expect("sh exists");
        let line = String::from_utf8(found.stdout).expect("a path");
        let path = line.trim().split_once(' ').expect("a size and a path").1;
        let mut bytes = fs::read(path).expect("it is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("ours");
    }
}

fn directory(world: &PodmanWorld) -> String {
    world.path("private-registry").display().to_string()
}

fn start(world: &PodmanWorld, auth: &str) -> Child {
    let dir = directory(world);
    fs::create_dir(&dir).expect("once per world");
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {dir}/data}}}}\n\
         http: {{addr: \"127.0.0.1:5000\"}}\n{auth}"
    );
    fs::write(format!("{dir}/config.yml"), config).expect("ours");
    let mut server = world.inside(program());
    server.arg("serve").arg(format!("{dir}/config.yml"));
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    server.spawn().expect("docker-registry starts")
}

/// The registry may still be starting.
fn pushed(world: &PodmanWorld, push: &[&str]) {
    let begun = Instant::now();
    while !world.podman_command(push).output().expect("podman is installed").status.success() {
        assert!(begun.elapsed() < PATIENCE, "the registry takes no image");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The one that scripts/setup unpacked, unless one is installed.
fn program() -> PathBuf {
    let unpacked =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/docker-registry/usr/bin/docker-registry");
    [unpacked, "/usr/bin/docker-registry".into()]
        .into_iter()
        .find(|candidate| candidate.exists())
        .expect("docker-registry is missing: run scripts/setup")
}

/// `auth.json` for this registry.
pub fn auth_json(password: &str) -> String {
    use base64::Engine;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
    format!("{{\"auths\": {{\"127.0.0.1:5000\": {{\"auth\": \"{auth}\"}}}}}}")
}

impl Drop for PrivateRegistry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for OpenRegistry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
