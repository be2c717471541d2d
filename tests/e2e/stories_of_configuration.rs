//! What the binary says before it becomes a daemon.
use crate::agent::command;
use crate::nats_world::{NatsServer, Version};
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("fleet-e2e-").tempdir().unwrap() }
    }

    fn config(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn good(&self, url: &str) -> PathBuf {
        let state = self.dir.path().join("state");
        let text = format!("[agent]\ndevice_id = \"d1\"\nstate_dir = \"{}\"\n", state.display());
        self.config(&format!("{text}[nats]\nurls = [\"{url}\"]\n[runtime]\nsocket = \"/absent\"\n"))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_bad_configuration_ends_with_64_and_names_line_and_nearest_key() {
    let place = Place::new();
    let path = place.config("[agent]\ndevice_id = \"d1\"\n\nhartbeat_s = 5\n");
    for arguments in [&["run"][..], &["check-config"], &["self-test"], &["--self-test"], &[]] {
        let output = command(&path).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let expected =
            format!("{}:4:1: unknown key agent.hartbeat_s, did you mean heartbeat_s?", path.display());
        assert!(said(&output).contains(&expected), "{arguments:?}: {}", said(&output));
    }
    let absent = command(&place.dir.path().join("absent.toml")).output().unwrap();
    assert_eq!(absent.status.code(), Some(64));
    assert!(said(&absent).contains("absent.toml"), "{}", said(&absent));
    let usage = command(&path).arg("fly").output().unwrap();
    assert_eq!(usage.status.code(), Some(64));
    let good = place.good("nats://127.0.0.1:1");
    let checked = command(&good).arg("check-config").output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let spoilt =
        command(&good).arg("check-config").env("FLEET_AGENT__AGENT__HEARTBEAT_S", "0").output().unwrap();
    assert_eq!(spoilt.status.code(), Some(64));
    assert!(said(&spoilt).contains("FLEET_AGENT__AGENT__HEARTBEAT_S"), "{}", said(&spoilt));
}

#[tokio::test]
async fn a_self_test_connects_with_the_real_credentials_and_changes_nothing() {
    let place = Place::new();
    let server = NatsServer::with_token(Version::Installed, "right").await;
    let path = place.good(&server.url());
    let test = |token: &str| {
        let mut test = command(&path);
        test.env("FLEET_AGENT__CREDENTIALS__TYPE", "token").env("FLEET_AGENT__CREDENTIALS__TOKEN", token);
        test
    };
    for argument in ["self-test", "--self-test"] {
        let output = test("right").arg(argument).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let text = format!("fleet-agent v{} self-test ok", env!("CARGO_PKG_VERSION"));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), text);
    }
    assert!(!place.dir.path().join("state").exists(), "it made the state directory");
    let js = async_nats::jetstream::new(server.client().await);
    assert!(js.get_stream("KV_desired-state").await.is_err(), "it made a bucket");

    let output = test("wrong").arg("self-test").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("self-test failed"), "{}", said(&output));
    assert!(said(&output).to_lowercase().contains("authorization"), "{}", said(&output));
    assert!(!said(&output).contains("wrong"), "the token is shown: {}", said(&output));
}
