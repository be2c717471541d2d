//! What a container is given beside its image, and images that are not for everybody: files, secrets, registry
//! credentials, archives.
use crate::agent::Agent;
use crate::device::{Device, ID};
use crate::documents::{deployment, script, steady, with};
use crate::podman_world::DEMO_IMAGE;
use crate::private_registry::{self, PrivateRegistry, auth_json};
use crate::witness::variable;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Answers on port 18090 with what it finds at this path.
fn shower(path: &str, fields: Value) -> Value {
    let serve = format!(
        "trap 'exit 0' TERM; mkdir /www; cat {path} > /www/index.html; \
         httpd -f -p 80 -h /www & sleep 86400 & wait"
    );
    with(with(script("a", &serve), json!({"ports": ["127.0.0.1:18090:80"]})), fields)
}

const URL: &str = "http://127.0.0.1:18090/";

fn with_file(content: &str) -> Vec<u8> {
    deployment(&[shower(
        "/etc/app/a.toml",
        json!({"files": [{"path": "/etc/app/a.toml", "content": content}]}),
    )])
}

#[tokio::test]
async fn another_content_of_a_file_replaces_the_container_and_the_same_does_not() {
    let device = Device::new().await;
    device.apply("web", with_file("one")).await;
    device.answers(URL, "one").await;
    let one = device.life("fleet-web.a");
    device.apply("web", with_file("one")).await;
    assert_eq!(device.life("fleet-web.a"), one);
    device.apply("web", with_file("two")).await;
    device.answers(URL, "two").await;
    assert_ne!(device.life("fleet-web.a"), one);
    assert_eq!(device.containers().len(), 1);
}

#[tokio::test]
async fn a_kill_between_a_create_and_its_files_never_starts_a_container_without_them() {
    let mut device = Device::new().await;
    for (n, point) in ["create:drafted", "create:filled"].into_iter().enumerate() {
        let content = format!("content {n}");
        device.arm(point, "kill");
        let revision = device.put("web", with_file(&content)).await;
        device.happened(point).await;
        let end = device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(9), "at {point}: {end}");
        assert!(device.containers().contains_key("fleet-web.a.draft"), "{point}");
        device.boot();
        device.running("web", revision).await;
        device.answers(URL, &content).await;
        assert_eq!(device.containers().keys().collect::<Vec<_>>(), ["fleet-web.a"], "{point}");
    }
}

/// Words that are found nowhere by accident.
const NEEDLE: &str = "n33dle-in-the-variable";
const IN_A_FILE: &str = "n33dle-in-the-file";

/// A device whose secrets and credentials are in directories of the world.
async fn with_vault() -> Device {
    let device = Device::without_agent().await;
    let (secrets, auth) = (device.directory("secrets"), device.directory("auth"));
    device.configure(&format!(
        "secrets_dir = \"{}\"\nregistry_auth_dir = \"{}\"\n",
        secrets.display(),
        auth.display()
    ));
    device
}

/// Replaces the file as a whole, as tools that rotate secrets do.
fn keep(device: &Device, path: &str, content: &str, mode: u32) {
    let (new, path) = (device.world.path("new"), device.world.path(path));
    std::fs::write(&new, content).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn process(device: &Device, container: &str) -> u32 {
    device.life(container).pid.try_into().unwrap()
}

/// Every file below a directory.
fn bytes_below(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(bytes_below(&entry.path()));
        } else {
            all.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn values_of_secrets_are_in_the_container_and_in_no_log_label_state_answer_or_state_file() {
    let mut device = with_vault().await;
    keep(&device, "secrets/db", NEEDLE, 0o600);
    keep(&device, "secrets/key", IN_A_FILE, 0o600);
    keep(&device, "auth/plant.json", &auth_json(NEEDLE), 0o600);
    let mut command = device.command();
    command.env("RUST_LOG", "trace");
    device.agent = Some(Agent::start(command, &device.log.0));
    // Its buckets are there before somebody listens to everything: a bucket is made where nobody listens.
    device.apply("plain", deployment(&[steady("a")])).await;
    device.beats().await;
    let said = Arc::<Mutex<Vec<u8>>>::default();
    let mut everything = device.operator.client.subscribe(">").await.unwrap();
    let heard = said.clone();
    let listener = tokio::spawn(async move {
        while let Some(message) = everything.next().await {
            heard.lock().unwrap().extend_from_slice(&message.payload);
        }
    });
    let told = device.directory("told");
    let tell = "busybox ls -ln /run/key > /told/mode; busybox cat /run/key > /told/key; \
                trap 'exit 0' TERM; sleep 86400 & wait";
    let service = with(
        script("a", tell),
        json!({"volumes": [format!("{}:/told", told.display())], "secrets": [
            {"name": "db", "env": "PASSWORD", "reload": true}, {"name": "key", "path": "/run/key"}]}),
    );
    device.apply("web", deployment(&[service])).await;
    device.lines(&told.join("key"), "the file is there", |lines| lines == [IN_A_FILE]).await;
    device.lines(&told.join("mode"), "only to read", |lines| lines[0].starts_with("-r--------")).await;
    assert_eq!(variable(process(&device, "fleet-web.a"), "PASSWORD").as_deref(), Some(NEEDLE));
    // What fails has more to say.
    let wants_a_directory =
        json!({"secrets": [{"name": "db", "env": "P"}, {"name": "key", "path": "/bin/sh/x"}]});
    device.put("broken", deployment(&[with(steady("a"), wants_a_directory)])).await;
    let broken = device.state("broken", "it says so", |state| state["last_error"]["code"] == "start").await;
    let refused = json!({"image": "127.0.0.1:5000/absent:1", "registry_auth": "plant"});
    device.put("absent", deployment(&[with(steady("a"), refused)])).await;
    device.state("absent", "it says so", |state| state["last_error"]["code"] == "image-pull").await;
    for verb in ["status", "actors", "inventory", "reconcile"] {
        device.operator.ask_when_up(verb).await;
    }
    device.several_ticks().await;
    listener.abort();
    let said = said.lock().unwrap().clone();
    assert!(holds(&said, "observed_revision") && holds(&said, "last_progress_ms"), "it listened");
    let kept = bytes_below(&device.state_dir());
    let inspected = device.world.podman(&["inspect", "fleet-web.a"]);
    let labels = device.containers()["fleet-web.a"].labels.clone();
    assert!(labels.contains_key("io.fleet.secrets-version"), "{labels:?}");
    for needle in [NEEDLE, IN_A_FILE] {
        assert!(!holds(&said, needle), "{needle} was published: {broken:#}");
        assert!(!device.log.text().contains(needle), "{needle} is in the log");
        assert!(!holds(&kept, needle), "{needle} is in the state directory");
        assert!(!format!("{labels:?}").contains(needle), "{labels:?}");
    }
    assert!(!inspected.contains(IN_A_FILE), "podman shows what is in a file");
    assert!(inspected.contains(NEEDLE), "podman shows variables: docs/contract.md says so");
}

#[tokio::test]
async fn a_changed_secret_restarts_what_reloads_it_and_nothing_else() {
    let mut device = with_vault().await;
    keep(&device, "secrets/db", "one", 0o600);
    device.boot();
    let uses = |name: &str, reload: bool| {
        with(steady(name), json!({"secrets": [{"name": "db", "env": "PASSWORD", "reload": reload}]}))
    };
    let revision = device.apply("web", deployment(&[uses("a", true), uses("b", false)])).await;
    let b = device.life("fleet-web.b");
    let password = |device: &Device| {
        let life = device.containers().get("fleet-web.a")?.life?;
        variable(life.pid.try_into().unwrap(), "PASSWORD")
    };
    // Written again with the same content, and over a restart of the agent, it changes nothing.
    let a = device.life("fleet-web.a");
    keep(&device, "secrets/db", "one", 0o600);
    device.crash();
    device.boot();
    device.several_ticks().await;
    assert_eq!(device.life("fleet-web.a"), a);
    for value in ["two", "three"] {
        if value == "three" {
            device.crash();
        }
        keep(&device, "secrets/db", value, 0o600);
        if value == "three" {
            device.boot();
        }
        let look = async || match password(&device) {
            Some(now) if now == value => Ok(()),
            other => Err(format!("{other:?}")),
        };
        device.eventually("it has the other value", look).await;
        device.running("web", revision).await;
    }
    // Neither does the loss of the key that versions are made with.
    let a = device.life("fleet-web.a");
    device.crash();
    std::fs::write(device.state_dir().join("secrets-key"), "torn").unwrap();
    device.boot();
    device.several_ticks().await;
    assert_eq!(device.life("fleet-web.a"), a);
    // A file that is gone stops nothing.
    let a = device.life("fleet-web.a");
    std::fs::remove_file(device.world.path("secrets/db")).unwrap();
    device.several_ticks().await;
    assert_eq!((device.life("fleet-web.a"), device.life("fleet-web.b")), (a, b));
    assert_eq!(device.containers().len(), 2);
}

#[tokio::test]
async fn a_secret_that_everybody_may_read_is_refused_by_name_until_it_is_closed() {
    let mut device = with_vault().await;
    keep(&device, "secrets/db", NEEDLE, 0o644);
    device.boot();
    let service = with(steady("a"), json!({"secrets": [{"name": "db", "env": "PASSWORD"}]}));
    let revision = device.put("web", deployment(&[service])).await;
    let state = device.state("web", "it says so", |state| state["last_error"]["code"] == "start").await;
    let message = state["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("secret db") && message.contains("mode 0644"), "{message}");
    assert_eq!(state["phase"], "Degraded");
    keep(&device, "secrets/db", NEEDLE, 0o640);
    device.running("web", revision).await;
}

#[tokio::test]
async fn a_private_image_is_pulled_with_the_credential_of_its_name_and_a_wrong_one_is_told() {
    let mut device = with_vault().await;
    let _registry = PrivateRegistry::serve(&device.world);
    device.boot();
    let image = json!({"image": private_registry::IMAGE, "registry_auth": "plant"});
    let revision = device.put("web", deployment(&[with(steady("a"), image)])).await;
    let says = |words: &'static str| {
        move |state: &Value| {
            let error = &state["last_error"];
            let message = error["message"].as_str().unwrap_or_default();
            state["phase"] == "Degraded" && error["code"] == "registry-auth" && message.contains(words)
        }
    };
    device.state("web", "the file is missing", says("plant.json")).await;
    keep(&device, "auth/plant.json", &auth_json("wrong"), 0o600);
    device.state("web", "the password is wrong", says("pull 127.0.0.1:5000")).await;
    keep(&device, "auth/plant.json", &auth_json(private_registry::PASSWORD), 0o600);
    device.running("web", revision).await;
}

#[tokio::test]
async fn an_image_comes_from_a_file_where_there_is_no_registry() {
    let mut device = with_vault().await;
    device.boot();
    let archive = device.world.path("demo.tar");
    let service = with(steady("a"), json!({"image": format!("oci-archive:{}", archive.display())}));
    let revision = device.put("web", deployment(&[service])).await;
    let missing =
        device.state("web", "it says so", |state| state["last_error"]["code"] == "image-missing").await;
    assert_eq!(missing["phase"], "Degraded");
    assert!(missing["last_error"]["message"].as_str().unwrap().contains("demo.tar"), "{missing:#}");
    let saved = device.world.path("saved.tar");
    let save =
        ["save", "--quiet", "--format", "oci-archive", "--output", &saved.to_string_lossy(), DEMO_IMAGE];
    device.world.podman(&save);
    device.world.podman(&["rmi", "--force", "--all"]);
    std::fs::rename(saved, archive).unwrap();
    let state = device.running("web", revision).await;
    let id = device.world.podman(&["images", "--quiet", "--no-trunc", DEMO_IMAGE]);
    assert_eq!(state["services"]["a"]["image_id"], id);
}

#[tokio::test]
async fn the_examples_run() {
    let mut device = with_vault().await;
    let archive = device.world.path("web.tar");
    device.world.podman(&[
        "save",
        "--quiet",
        "--format",
        "oci-archive",
        "--output",
        &archive.to_string_lossy(),
        DEMO_IMAGE,
    ]);
    let registry = PrivateRegistry::serve(&device.world);
    device.world.podman(&["load", "--quiet", "--input", &archive.to_string_lossy()]);
    keep(&device, "secrets/db-password", NEEDLE, 0o600);
    keep(&device, "secrets/tls-key", IN_A_FILE, 0o600);
    keep(&device, "auth/plant.json", &auth_json(private_registry::PASSWORD), 0o600);
    device.boot();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for name in ["files", "secrets", "private", "offline"] {
        let text = std::fs::read_to_string(examples.join(format!("{name}.json"))).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        let service = &mut document["data"]["services"][0];
        // Only what the world does not have is another.
        service["image"] = match name {
            "private" => private_registry::IMAGE.into(),
            "offline" => format!("oci-archive:{}", archive.display()).into(),
            _ => DEMO_IMAGE.into(),
        };
        service["command"] = json!(["sh", "-c", "trap 'exit 0' TERM; sleep 86400 & wait"]);
        device.apply(name, serde_json::to_vec(&document).unwrap()).await;
    }
    let shown = |container: &str, path: &str| device.world.podman(&["exec", container, "cat", path]);
    assert_eq!(shown("fleet-files.web", "/etc/web/site.toml"), "title = \"north gate\"");
    assert_eq!(shown("fleet-secrets.web", "/run/key.pem"), IN_A_FILE);
    let states = ["files", "secrets", "private", "offline"].map(|name| format!("state.{ID}.{name}"));
    for key in states {
        let state = device.operator.get("device-state", &key).await.unwrap().unwrap();
        assert_eq!(state["phase"], "Running", "{state:#}");
    }
    drop(registry);
}
