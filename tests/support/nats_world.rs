//! A private nats-server on loopback: stopped, restarted on the same port and data, wiped; gone with
//! the test.
#![allow(dead_code, reason = "each test binary uses its own part")]
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Generous on a busy machine; a promise kept takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until `check` answers Some, and fails with `what` when it does not in time.
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < end, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Which nats-server.
#[derive(Debug, Clone, Copy)]
pub enum Version {
    /// The one of the distribution: `nats-server` in `PATH`.
    Installed,
    /// A current one: the binary that `FLEET_TEST_NATS_CURRENT` names.
    Current,
}

impl Version {
    fn binary(self) -> PathBuf {
        match self {
            Version::Installed => "nats-server".into(),
            Version::Current => std::env::var_os("FLEET_TEST_NATS_CURRENT")
                .expect("set FLEET_TEST_NATS_CURRENT to the binary of a current nats-server")
                .into(),
        }
    }
}

pub struct NatsServer {
    binary: PathBuf,
    dir: TempDir,
    /// Chosen by the server at its first start, kept after.
    port: Option<u16>,
    token: Option<String>,
    child: Option<Child>,
}

impl NatsServer {
    /// A running server with JetStream and no authorization.
    pub async fn start(version: Version) -> Self {
        Self::with(version, None).await
    }

    /// One that wants a token.
    pub async fn with_token(version: Version, token: &str) -> Self {
        Self::with(version, Some(token.into())).await
    }

    async fn with(version: Version, token: Option<String>) -> Self {
        let dir = tempfile::Builder::new().prefix("fleet-nats-").tempdir().unwrap();
        let mut server = Self { binary: version.binary(), dir, port: None, token, child: None };
        server.up().await;
        server
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.expect("started once"))
    }

    /// A client of the test's own.
    pub async fn client(&self) -> async_nats::Client {
        let mut options = async_nats::ConnectOptions::new();
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        options.connect(self.url()).await.unwrap()
    }

    /// Starts it, or starts it again on the same port and data; returns when it answers.
    pub async fn up(&mut self) {
        let child = self.command().spawn().expect("nats-server is installed");
        let pid = child.id().expect("it was just started");
        self.child = Some(child);
        let name = self.binary.file_name().unwrap().to_string_lossy().into_owned();
        let ports = self.dir.path().join(format!("{name}_{pid}.ports"));
        let port = eventually("nats-server writes its ports file", async || {
            let text = std::fs::read_to_string(&ports).ok()?;
            let ports: serde_json::Value = serde_json::from_str(&text).ok()?;
            ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
        });
        self.port = Some(port.await);
        let address = ("127.0.0.1", self.port.unwrap());
        eventually("nats-server listens", async || tokio::net::TcpStream::connect(address).await.ok()).await;
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        let port = self.port.map_or("-1".into(), |p| p.to_string());
        command.args(["-a", "127.0.0.1", "-p", &port, "-m", "-1", "-js", "--name", "test-server"]);
        command.arg("-sd").arg(self.dir.path().join("data"));
        command.arg("--ports_file_dir").arg(self.dir.path());
        if let Some(token) = &self.token {
            command.args(["--auth", token]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }

    /// kill -9.
    pub async fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    /// `STOP` freezes it, `CONT` lets it go on.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().and_then(Child::id).expect("it runs");
        let status =
            std::process::Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// A copy of its data. It must be down.
    pub fn backup(&self) -> TempDir {
        assert!(self.child.is_none(), "copied while it runs");
        let copy = tempfile::Builder::new().prefix("fleet-nats-copy-").tempdir().unwrap();
        copy_tree(&self.dir.path().join("data"), &copy.path().join("data"));
        copy
    }

    /// Puts a copy in the place of its data. It must be down.
    pub fn restore(&self, copy: &TempDir) {
        self.wipe();
        copy_tree(&copy.path().join("data"), &self.dir.path().join("data"));
    }

    /// What its monitoring says, as JSON.
    pub fn monitoring(&self, path: &str) -> serde_json::Value {
        let url = format!("{}/{path}", self.ports()["monitoring"][0].as_str().expect("it is on"));
        let output = std::process::Command::new("curl").args(["--silent", "--max-time", "5", &url]).output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    }

    fn ports(&self) -> serde_json::Value {
        let pid = self.child.as_ref().and_then(Child::id).expect("it runs");
        let name = self.binary.file_name().unwrap().to_string_lossy().into_owned();
        let ports = std::fs::read(self.dir.path().join(format!("{name}_{pid}.ports"))).unwrap();
        serde_json::from_slice(&ports).unwrap()
    }

    /// Throws its data away. It must be down.
    pub fn wipe(&self) {
        assert!(self.child.is_none(), "wiped while it runs");
        std::fs::remove_dir_all(self.dir.path().join("data")).unwrap();
    }
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success(), "cp -a {from:?} {to:?}");
}
