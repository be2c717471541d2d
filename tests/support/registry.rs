//! The smallest image registry that podman pulls from: a shell script behind busybox nc, serving what
//! `podman push dir:` wrote. It listens on 127.0.0.1:5000 of a world and ends with it.
#![allow(dead_code, reason = "each test binary uses another part of it")]
use crate::podman_world::{DEMO_IMAGE, PodmanWorld, static_busybox};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The demo image, for everybody.
pub const OPEN: &str = "127.0.0.1:5000/open:1";
/// The same, for nobody.
pub const CLOSED: &str = "127.0.0.1:5000/closed:1";
/// The same, whose layers begin and never go on.
pub const STALLING: &str = "127.0.0.1:5000/stalling:1";
/// A tag that is not there.
pub const UNKNOWN: &str = "127.0.0.1:5000/open:2";

pub struct Registry {
    server: Child,
    dir: PathBuf,
}

impl Registry {
    /// Serves the world's demo image and removes it from the world's own storage.
    pub fn serve(world: &PodmanWorld) -> Self {
        let dir = world.path("registry");
        world.podman(&["push", "--quiet", DEMO_IMAGE, &format!("dir:{}", dir.display())]);
        world.podman(&["rmi", "--force", DEMO_IMAGE]);
        let script = dir.join("answer.sh");
        let busybox = static_busybox();
        let text = SCRIPT.replace("@BUSYBOX@", &busybox.to_string_lossy());
        fs::write(&script, text.replace("@DIR@", &dir.to_string_lossy())).expect("ours");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("ours");
        let mut server = world.inside(&busybox);
        server
            .args(["nc", "-ll", "-p", "5000", "-e"])
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self { server: server.spawn().expect("busybox exists"), dir }
    }

    /// The reference of the demo image by digest.
    pub fn by_digest(&self) -> String {
        let sum = Command::new("sha256sum").arg(self.dir.join("manifest.json")).output().expect("coreutils");
        let text = String::from_utf8(sum.stdout).expect("hex");
        format!("127.0.0.1:5000/open@sha256:{}", text.split_whitespace().next().expect("a digest"))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

const SCRIPT: &str = r#"#!@BUSYBOX@ sh
# One request on stdin, its answer on stdout.
# Podman tries TLS first, whose hello has no end of line.
read -r -n 1 first
case "$first" in G | H) ;; *) exit ;; esac
read -r method path rest
end=$(printf '\r')
while read -r header && [ "$header" != "$end" ]; do :; done
answer() { printf 'HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %s\r\n%b\r\n' "$1" "$2" "$3" "$4"; }
file() { answer '200 OK' "$2" "$(wc -c < "$1")"; [ "$first" = H ] || cat "$1"; }
manifest() { file @DIR@/manifest.json application/vnd.oci.image.manifest.v1+json; }
case "$path" in
  /v2/) answer '200 OK' application/json 2; printf '{}' ;;
  /v2/open/manifests/1 | /v2/stalling/manifests/1 | /v2/open/manifests/sha256:*) manifest ;;
  /v2/stalling/blobs/*) answer '200 OK' application/octet-stream 1000000; printf 'a beginning'; exec sleep 20 ;;
  /v2/open/blobs/sha256:*) file "@DIR@/${path##*:}" application/octet-stream ;;
  /v2/closed/*) answer '401 Unauthorized' application/json 0 'WWW-Authenticate: Basic realm="closed"\r\n' ;;
  *) error='{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
     answer '404 Not Found' application/json ${#error}; printf %s "$error" ;;
esac
"#;
