//! Keys that are gone, and marks of their removal, while the device could not see it.
use crate::device::Device;
use crate::documents::{deployment, steady};
use serde_json::{Value, json};

fn held(state: &Value) -> bool {
    state["last_error"]["code"] == "removal-held"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_absent_after_a_reconnect_are_held_until_they_are_confirmed_while_others_are_updated() {
    let (device, link) = Device::behind_a_link().await;
    for name in ["one", "two", "three"] {
        device.apply(name, deployment(&[steady("a")])).await;
    }
    let before = device.lives();
    link.cut().await;
    device.operator.forget("one").await;
    device.operator.forget("two").await;
    let three = device.put("three", deployment(&[steady("a"), steady("b")])).await;
    link.mend();
    device.running("three", three).await;
    for name in ["one", "two"] {
        let state = device.state(name, "the removal is held", held).await;
        assert_eq!(state["phase"], "Running");
    }
    device.several_ticks().await;
    for name in ["fleet-one.a", "fleet-two.a", "fleet-three.a"] {
        assert_eq!(device.lives()[name], before[name]);
    }
    let confirm = json!({"removals": ["one"], "command_id": "c1"});
    let answer = device.operator.ask("confirm", confirm.clone()).await;
    assert_eq!((answer.code, &answer.body), (200, &json!({"accepted": ["one"]})));
    device.seen("the confirmed one goes", |all| !all.contains_key("fleet-one.a")).await;
    assert_eq!(device.operator.ask("confirm", confirm).await, answer, "once");
    assert_eq!(device.lives()["fleet-two.a"], before["fleet-two.a"]);

    // The same bucket without any key.
    let all = device.lives();
    link.cut().await;
    let stream = device.operator.js.get_stream("KV_desired-state").await.unwrap();
    stream.purge().await.unwrap();
    link.mend();
    device.state("three", "the last one is held too", held).await;
    device.heartbeat("it is told", |beat| beat["reasons"] == json!(["removal-held"])).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_removal_can_be_confirmed_although_the_last_document_was_refused() {
    let (device, link) = Device::behind_a_link().await;
    device.apply("web", deployment(&[steady("a")])).await;
    device.put("web", b"{}".to_vec()).await;
    device.state("web", "it is refused", |state| state["last_error"]["code"] == "invalid-spec").await;
    link.cut().await;
    device.operator.forget("web").await;
    link.mend();
    device.state("web", "it is held", held).await;
    let answer = device.operator.ask("confirm", json!({"removals": ["web"]})).await;
    assert_eq!((answer.code, answer.body), (200, json!({"accepted": ["web"]})));
    device.seen("it goes", |all| all.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_of_removal_are_obeyed_also_while_away_and_what_a_rollup_swept_away_is_only_absent() {
    let (device, link) = Device::behind_a_link().await;
    for name in ["deleted", "purged", "deleted-away", "purged-away", "swept", "swept-too", "marked"] {
        device.apply(name, deployment(&[steady("a")])).await;
    }
    device.operator.delete("deleted").await;
    device.operator.purge("purged", "sub").await;
    let gone = |names: &'static [&str]| {
        move |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
            names.iter().all(|name| !all.contains_key(&format!("fleet-{name}.a")))
        }
    };
    device.seen("both are gone", gone(&["deleted", "purged"])).await;
    link.cut().await;
    device.operator.delete("deleted-away").await;
    device.operator.purge("purged-away", "sub").await;
    link.mend();
    device.seen("both are gone", gone(&["deleted-away", "purged-away"])).await;
    let before = device.lives_of("fleet-swept");
    assert_eq!(before.len(), 2);
    // One key's marker, and with it the whole bucket: of the others nothing is left that says so.
    link.cut().await;
    device.operator.purge("marked", "all").await;
    link.mend();
    device.seen("what bears the mark is gone", gone(&["marked"])).await;
    for name in ["swept", "swept-too"] {
        device.state(name, "the rest is held", held).await;
    }
    device.several_ticks().await;
    assert_eq!(device.lives_of("fleet-swept"), before);
}
