//! Documents that change.
use crate::device::Device;
use crate::documents::{deployment, script, steady, with, with_lifecycle};
use crate::observe::Life;
use crate::podman_world::DEMO_IMAGE;
use crate::registry::{CLOSED, OPEN, Registry, STALLING, UNKNOWN};
use crate::witness::{Witness, mark};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A service that writes into `diary` when it is up, and what it was told to stop by. It takes a
/// moment to obey.
fn diarist(name: &str, version: &str, diary: &Path) -> Value {
    let says = |word: &str| format!("echo {version} {word} >> /diary/{name}");
    let told = |signal: &str| format!("trap 'sleep 0.5; {}; exit 0' {signal}", says(signal));
    let slot = mark("shop", name);
    let text = format!(": {slot}; {}; {}; {}; sleep 86400 & wait", told("USR1"), told("TERM"), says("up"));
    with(script(name, &text), json!({"volumes": [format!("{}:/diary", diary.display())]}))
}

#[tokio::test]
async fn an_update_replaces_only_what_changed_and_stops_the_old_as_the_old_asked() {
    let device = Device::new().await;
    let diary = device.directory("diary");
    let (of_web, of_other) = (diary.join("web"), diary.join("other"));
    let other = diarist("other", "v1", &diary);
    let usr1 = || json!({"stop_signal": "SIGUSR1", "grace_period_s": 40});
    device.apply("shop", with_lifecycle(&[diarist("web", "v1", &diary), other.clone()], usr1())).await;
    device.lines(&of_web, "web is up", |lines| lines == ["v1 up"]).await;
    device.lines(&of_other, "other is up", |lines| lines == ["v1 up"]).await;
    let (old, untouched) = (device.life("fleet-shop.web"), device.life("fleet-shop.other"));

    device.apply("shop", with_lifecycle(&[diarist("web", "v2", &diary), other], usr1())).await;
    device.lines(&of_web, "v1 obeyed before v2 began", |l| l == ["v1 up", "v1 USR1", "v2 up"]).await;
    assert_ne!(device.life("fleet-shop.web"), old);
    assert_eq!(device.life("fleet-shop.other"), untouched);
    assert_eq!(device.containers().len(), 2);

    // Another signal in the document is for those made from it, not for those that are stopped.
    let term = json!({"stop_signal": "SIGTERM", "grace_period_s": 40});
    let services = [diarist("web", "v3", &diary), diarist("other", "v3", &diary)];
    device.apply("shop", with_lifecycle(&services, term)).await;
    device.lines(&of_web, "web was stopped by USR1", |l| l[3..] == ["v2 USR1", "v3 up"]).await;
    device.lines(&of_other, "so was other", |l| l == ["v1 up", "v1 USR1", "v3 up"]).await;
    device.operator.delete("shop").await;
    device.lines(&of_web, "and v3 by TERM", |lines| lines.last() == Some(&"v3 TERM")).await;
    device.seen("all are gone", |all| all.is_empty()).await;
}

#[tokio::test]
async fn a_container_deaf_to_its_stop_signal_is_killed_after_its_grace() {
    let device = Device::new().await;
    let diary = device.directory("diary");
    let file = diary.join("deaf");
    let text = "trap 'echo asked >> /diary/deaf' TERM; echo up >> /diary/deaf; \
                while :; do sleep 0.1; done";
    let volume = json!({"volumes": [format!("{}:/diary", diary.display())]});
    let deaf = with(script("deaf", text), volume);
    device.apply("web", with_lifecycle(&[deaf], json!({"grace_period_s": 1}))).await;
    device.lines(&file, "it is up", |lines| lines == ["up"]).await;
    let old = device.life("fleet-web.deaf");

    let began = tokio::time::Instant::now();
    device.apply("web", deployment(&[steady("deaf")])).await;
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "killed without its grace");
    device.lines(&file, "it was asked first", |lines| lines == ["up", "asked"]).await;
    assert_eq!(crate::observe::life(old.pid).filter(|now| *now == old), None);
    let died = device.world.podman(&["events", "--stream=false", "--filter=event=died"]);
    assert_eq!(died.lines().count(), 1, "{died}");
    assert!(device.log.text().contains("deaf to its stop signal"), "{}", device.log.tail());
}

/// Waits for the trouble, and shows that what ran goes on.
async fn degraded(device: &Device, revision: u64, code: &str, old: Life) {
    let what = format!("revision {revision} is Degraded by {code}");
    let is_so = |state: &Value| {
        (&state["phase"], &state["last_error"]["code"]) == (&json!("Degraded"), &json!(code))
            && state["observed_revision"] == revision
    };
    let state = device.state("web", &what, is_so).await;
    assert_eq!(state["last_error"]["service"], "a");
    assert_eq!(device.life("fleet-web.a"), old);
    assert_eq!(device.containers().len(), 1);
}

#[tokio::test]
async fn a_failed_update_leaves_the_old_running_and_says_why_until_it_can_be_done() {
    let device = Device::new().await;
    let _registry = Registry::serve(&device.world);
    let image = |image: &str| deployment(&[with(steady("a"), json!({"image": image}))]);
    device.apply("web", image(OPEN)).await;
    let old = device.life("fleet-web.a");

    let never = with(steady("a"), json!({"image": "localhost/absent:1", "pull": "never"}));
    let revision = device.put("web", deployment(&[never])).await;
    degraded(&device, revision, "image-missing", old).await;
    // Nothing listens there.
    let revision = device.put("web", image("127.0.0.1:5001/open:1")).await;
    device.state("web", "it is being pulled", |state| state["phase"] == "Pulling").await;
    degraded(&device, revision, "image-pull", old).await;
    let revision = device.put("web", image(UNKNOWN)).await;
    degraded(&device, revision, "image-pull", old).await;
    let revision = device.put("web", image(CLOSED)).await;
    degraded(&device, revision, "registry-auth", old).await;
    let done = with(steady("a"), json!({"image": OPEN, "env": {"VERSION": "2"}}));
    device.apply("web", deployment(&[done])).await;
    assert_ne!(device.life("fleet-web.a"), old);
    assert_eq!(device.containers().len(), 1);
}

#[tokio::test]
async fn an_agent_killed_in_the_middle_of_an_update_ends_with_exactly_the_desired_containers() {
    let mut device = Device::new().await;
    let witness = Witness::new();
    let diary: PathBuf = device.directory("diary");
    let file = diary.join("web");
    let version = |n: usize| deployment(&[diarist("web", &format!("v{n}"), &diary), steady("other")]);
    device.apply("shop", version(0)).await;
    let other = device.life("fleet-shop.other");
    // Seen from outside: the successor is prepared; the old one is on its way out; the new one runs.
    type Moment = fn(&[String]) -> bool;
    let moments: [(&str, Moment); 3] = [
        ("a container more", |names| names.len() > 2),
        ("the old renamed", |names| names.iter().any(|name| name.ends_with(".old"))),
        ("a new digest in service", |names| names.len() == 2),
    ];
    for (n, (what, is_now)) in moments.into_iter().enumerate() {
        let n = n + 1;
        device.lines(&file, "the one before is up", |l| l.contains(&format!("v{} up", n - 1).as_str())).await;
        let old = device.containers()["fleet-shop.web"].id.clone();
        let revision = device.put("shop", version(n)).await;
        device
            .seen(what, |all| {
                let names: Vec<String> = all.keys().cloned().collect();
                let main = all.get("fleet-shop.web").map(|seen| &seen.id);
                is_now(&names) && (names.len() > 2 || main.is_some_and(|id| *id != old))
            })
            .await;
        device.crash();
        device.boot();
        device.running("shop", revision).await;
        let names: Vec<String> = device.containers().into_keys().collect();
        assert_eq!(names, ["fleet-shop.other", "fleet-shop.web"]);
        assert_eq!(device.life("fleet-shop.other"), other);
    }
    // Never two at once: each version came up after the one before had said goodbye.
    let expected = ["v0 up", "v0 TERM", "v1 up", "v1 TERM", "v2 up", "v2 TERM", "v3 up"];
    device.lines(&file, "each came after the one before", |lines| lines == expected).await;
    witness.never_saw_two();
}

#[tokio::test]
async fn a_document_that_comes_while_an_image_stalls_does_not_wait_for_it() {
    let device = Device::new().await;
    // An image that shares no layer with what the registry has.
    let (flat, tar) = ("localhost/flat:1", device.world.path("flat.tar").display().to_string());
    device.world.podman(&["create", "--name", "flat", DEMO_IMAGE, "true"]);
    device.world.podman(&["export", "--output", &tar, "flat"]);
    device.world.podman(&["rm", "flat"]);
    device.world.podman(&["import", &tar, flat]);
    let _registry = Registry::serve(&device.world);
    let version = |image: &str, n: &str| {
        deployment(&[with(steady("a"), json!({"image": image, "env": {"VERSION": n}}))])
    };
    let stalls = async || {
        device.put("web", version(STALLING, "2")).await;
        device.state("web", "it is being pulled", |state| state["phase"] == "Pulling").await;
    };
    device.apply("web", version(flat, "1")).await;
    let old = device.life("fleet-web.a");
    stalls().await;
    device.apply("web", version(flat, "1")).await;
    assert_eq!(device.life("fleet-web.a"), old, "back at what runs");
    stalls().await;
    device.apply("web", version(flat, "3")).await;
    assert_ne!(device.life("fleet-web.a"), old);
    let made =
        ["events", "--stream=false", "--filter=event=create", "--filter=image=127.0.0.1:5000/stalling:1"];
    assert_eq!(device.world.podman(&made), "", "the second was never made");
    let names: Vec<String> = device.containers().into_keys().collect();
    assert_eq!(names, ["fleet-web.a"]);
}
