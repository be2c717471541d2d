//! Jobs run once, whatever becomes of their containers.
use crate::device::{Device, ID};
use crate::documents::{deployment, script, with};
use serde_json::{Value, json};
use std::path::Path;

/// Writes that it began, and ends with this code when it is let go.
fn job(name: &str, diary: &Path, code: i32) -> Value {
    let text = format!(
        "echo began >> /diary/{name}; until [ -e /diary/go ]; do sleep 0.05; done; echo {name} is done; exit {code}"
    );
    with(script(name, &text), json!({"restart": "never", "volumes": [format!("{}:/diary", diary.display())]}))
}

async fn ended(device: &Device, name: &str, phase: &str) -> Value {
    device.state(name, &format!("{name} is {phase}"), |state| state["phase"] == phase).await
}

fn began(diary: &Path, name: &str) -> usize {
    std::fs::read_to_string(diary.join(name)).unwrap_or_default().lines().count()
}

fn prune(device: &Device) {
    device.world.podman(&["container", "prune", "--force"]);
    assert!(device.containers().is_empty(), "{:#?}", device.containers());
}

#[tokio::test]
async fn a_job_whose_container_was_pruned_is_not_run_again_and_told_as_before() {
    let mut device = Device::new().await;
    let diary = device.directory("diary");
    device.put("good", deployment(&[job("good", &diary, 0)])).await;
    device.put("bad", deployment(&[job("bad", &diary, 3)])).await;
    for name in ["good", "bad"] {
        device.lines(&diary.join(name), "it began", |lines| lines == ["began"]).await;
    }
    // The agent does not see their end.
    device.crash();
    std::fs::write(diary.join("go"), "").unwrap();
    device.seen("both ended", |all| all.values().all(|seen| seen.life.is_none())).await;
    device.boot();
    ended(&device, "good", "Completed").await;
    let words = |state: &Value| {
        let message = state["last_error"]["message"].as_str().unwrap_or_default();
        state["phase"] == "Failed" && message.ends_with("it said last: bad is done")
    };
    let bad = device.state("bad", "it failed, with what it said", words).await;
    assert_eq!(
        (&bad["last_error"]["code"], &bad["services"]["bad"]["exit_code"]),
        (&json!("exited"), &json!(3))
    );

    prune(&device);
    device.several_ticks().await;
    device.crash();
    device.boot();
    device.several_ticks().await;
    assert!(device.containers().is_empty(), "{:#?}", device.containers());
    assert_eq!((began(&diary, "good"), began(&diary, "bad")), (1, 1));
    ended(&device, "good", "Completed").await;
    let again = device.state("bad", "it failed, with what it said", words).await;
    assert_eq!(again["last_error"], bad["last_error"]);

    // Deleted and applied again, it runs anew; once more it ends unseen, and is pruned before anybody looked.
    device.operator.delete("good").await;
    let key = format!("state.{ID}.good");
    let gone = async || match device.operator.get("device-state", &key).await? {
        None => Ok(()),
        Some(state) => Err(state.to_string()),
    };
    device.eventually("its state is gone", gone).await;
    device.put("good", deployment(&[job("good", &diary, 0)])).await;
    device.lines(&diary.join("good"), "it began once more", |lines| lines == ["began", "began"]).await;
    ended(&device, "good", "Completed").await;
    device.crash();
    prune(&device);
    device.boot();
    device.several_ticks().await;
    assert_eq!((began(&diary, "good"), began(&diary, "bad")), (2, 1));
}

/// Nobody can know how it ended: it is run once more rather than never.
#[tokio::test]
async fn a_job_that_a_reboot_interrupted_runs_again_and_one_that_was_done_does_not() {
    let mut device = Device::new().await;
    let diary = device.directory("diary");
    let done = with(
        script("done", "echo began >> /diary/done"),
        json!({"restart": "never",
        "volumes": [format!("{}:/diary", diary.display())]}),
    );
    device.put("done", deployment(&[done])).await;
    device.put("long", deployment(&[job("long", &diary, 0)])).await;
    ended(&device, "done", "Completed").await;
    device.lines(&diary.join("long"), "it began", |lines| lines == ["began"]).await;
    device.crash();
    device.world.reboot();
    std::fs::write(diary.join("go"), "").unwrap();
    device.boot();
    ended(&device, "long", "Completed").await;
    device.several_ticks().await;
    ended(&device, "done", "Completed").await;
    assert_eq!((began(&diary, "done"), began(&diary, "long")), (1, 2));
}
