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
        let dir = world.path("private-registry");
        fs::create_dir(&dir).expect("once per world");
        let at = dir.display();
        fs::write(dir.join("htpasswd"), format!("{USER}:{HASHED}\n")).expect("ours");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             http: {{addr: \"127.0.0.1:5000\"}}\nauth: {{htpasswd: {{realm: plant, path: {at}/htpasswd}}}}\n"
        );
        fs::write(dir.join("config.yml"), config).expect("ours");
        let mut server = world.inside(program());
        server.arg("serve").arg(dir.join("config.yml"));
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { server: server.spawn().expect("docker-registry starts") };
        let begun = Instant::now();
        while !pushed(world) {
            assert!(begun.elapsed() < PATIENCE, "the registry takes no image");
            std::thread::sleep(Duration::from_millis(50));
        }
        world.podman(&["rmi", "--force", "--all"]);
        registry
    }
}

fn pushed(world: &PodmanWorld) -> bool {
    let credential = format!("{USER}:{PASSWORD}");
    let push = world.podman_command(&["push", "--quiet", "--creds", &credential, DEMO_IMAGE, IMAGE]).output();
    push.expect("podman is installed").status.success()
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
