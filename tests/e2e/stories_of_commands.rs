//! The verbs, as a NATS client sees them.
use crate::device::{Device, ID};
use crate::documents::{deployment, steady, with};
use crate::operator::Reply;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};

/// The same request in both encodings; both must be answered alike.
async fn both(device: &Device, verb: &str, request: Value) -> Reply {
    let plain = device.operator.ask(verb, request.clone()).await;
    let packed = device.operator.ask_packed(verb, request).await;
    assert_eq!(plain.code, packed.code, "{verb}: {plain:?} {packed:?}");
    let fields = |reply: &Reply| reply.body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&plain), fields(&packed), "{verb}");
    packed
}

#[tokio::test]
async fn every_verb_answers_in_json_and_in_messagepack() {
    let device = Device::new().await;
    let revision = device.apply("web", deployment(&[steady("a")])).await;
    device.operator.ask_when_up("ping").await;

    let ping = both(&device, "ping", json!({"command_id": null})).await;
    assert_eq!((ping.code, &ping.body["device_id"], &ping.body["role"]), (200, &json!(ID), &json!("active")));
    assert_eq!(ping.body["command_id"], json!(null));
    // An empty request is JSON.
    let (code, _, body) = device.operator.ask_raw("ping", "").await.unwrap();
    assert_eq!((code, body[0]), (200, b'{'));
    let status = both(&device, "status", json!({})).await;
    assert_eq!(status.body["device"]["instance"], ping.body["instance"]);
    let states = status.body["deployments"].as_array().unwrap();
    assert_eq!((states.len(), &states[0]["phase"]), (1, &json!("Running")));
    assert_eq!(states[0]["observed_revision"], revision);
    // Podman takes its time to say which version it is.
    let known = |info: &Value| info["inventory"]["runtime"]["name"] == "podman";
    device.document("device-info", &format!("info.{ID}"), "the runtime is known", known).await;
    let inventory = both(&device, "inventory", json!({})).await;
    assert_eq!(inventory.body["inventory"]["runtime"]["name"], "podman");
    let reconcile = both(&device, "reconcile", json!({"deployment": "web"})).await;
    assert_eq!((reconcile.code, reconcile.body), (200, json!({"accepted": ["web"]})));
    let all = both(&device, "reconcile", json!({})).await;
    assert_eq!(all.body, json!({"accepted": ["web"]}));
    let restart = both(&device, "actor-restart", json!({"name": "heartbeat"})).await;
    assert_eq!(restart.body, json!({"name": "fleet-agent/link/heartbeat", "restarts": 2}));

    let actors = both(&device, "actors", json!({})).await;
    assert_eq!(actors.body["instance"], ping.body["instance"]);
    let all = actors.body["actors"].as_array().unwrap();
    let named =
        |name: &str| all.iter().find(|a| a["name"] == name).unwrap_or_else(|| panic!("{name}: {all:#?}"));
    assert_eq!((&all[0]["name"], &all[0]["parent"]), (&json!("fleet-agent"), &json!(null)));
    assert_eq!(named("fleet-agent/reconcilers/web")["parent"], "fleet-agent/reconcilers");
    assert_eq!(named("fleet-agent/reconcilers")["kind"], "keyed");
    let beat = named("fleet-agent/link/heartbeat");
    assert_eq!((&beat["restarts"], &beat["last_error"]["cause"]), (&json!(2), &json!("requested")));
}

#[tokio::test]
async fn a_plan_says_what_a_document_would_change_and_changes_nothing() {
    let device = Device::new().await;
    let revision = device.apply("web", deployment(&[steady("a"), steady("b"), steady("gone")])).await;
    let before = device.lives();
    let as_json = |document: Vec<u8>| serde_json::from_slice::<Value>(&document).unwrap();
    let changed = with(steady("b"), json!({"env": {"NEW": "1"}}));
    let missing = with(steady("new"), json!({"image": "localhost/absent:1"}));
    let desired = as_json(deployment(&[steady("a"), changed, missing]));
    let plan = both(&device, "plan", json!({"deployment": "web", "desired": desired})).await;
    let expected = json!({"stop": ["fleet-web.b", "fleet-web.gone"], "start": ["fleet-web.b", "fleet-web.new"],
        "keep": ["fleet-web.a"], "pull": ["localhost/absent:1"]});
    assert_eq!((plan.code, plan.body), (200, expected));
    let removal = both(&device, "plan", json!({"deployment": "web", "desired": null})).await;
    assert_eq!(removal.body["stop"], json!(["fleet-web.a", "fleet-web.b", "fleet-web.gone"]));
    let elsewhere = json!({"deployment": "other", "desired": as_json(deployment(&[steady("a")]))});
    assert_eq!(both(&device, "plan", elsewhere).await.body["start"], json!(["fleet-other.a"]));
    let wrong = as_json(deployment(&[json!({"name": "a", "image": "a", "ports": ["80"], "user": ""})]));
    let refused = device.operator.ask("plan", json!({"deployment": "web", "desired": wrong})).await;
    let message = refused.body["message"].as_str().unwrap();
    assert!(
        refused.code == 400 && message.contains("[0].ports[0]") && message.contains("[0].user"),
        "{message}"
    );
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    device.running("web", revision).await;
}

#[tokio::test]
async fn refused_commands_say_why_and_a_command_acts_once_per_id() {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    device.operator.ask_when_up("ping").await;
    let refusals = [
        ("reconcile", json!({"deployment": "absent"}), 404),
        ("reconcile", json!({"deployment": "Not_A_Name"}), 400),
        ("reconcile", json!({"deployment": 7}), 400),
        ("actor-restart", json!({"name": "nobody"}), 404),
        ("actor-restart", json!({}), 400),
        ("actor-restart", json!({"name": "fleet-agent"}), 409),
        ("confirm", json!({"removals": ["web"]}), 409),
        ("confirm", json!({"removals": ["absent"]}), 404),
        ("confirm", json!({}), 400),
        ("log-level", json!({"filter": "loud=er"}), 400),
        ("log-level", json!({"filter": "info", "for_s": 86_401}), 400),
    ];
    for (verb, request, code) in refusals {
        let answer = both(&device, verb, request.clone()).await;
        assert_eq!((answer.code, &answer.body["code"]), (code, &json!(code)), "{verb} {request}: {answer:?}");
        assert_eq!(answer.message.as_deref(), answer.body["message"].as_str(), "{verb} {request}");
        assert!(answer.message.is_some_and(|message| !message.is_empty()));
    }
    let (code, ..) = device.operator.ask_raw("reconcile", "{not json").await.unwrap();
    assert_eq!(code, 400);
    let unknown = device.operator.ask_raw("logs", "{}").await.unwrap_err();
    assert!(unknown.contains("no responders"), "{unknown}");

    // An answer goes to inboxes only: another subject could be one that the asker may not write to.
    let mut elsewhere = device.operator.client.subscribe("elsewhere").await.unwrap();
    let subject = format!("device-command.{ID}.ping");
    device.operator.client.publish_with_reply(subject, "elsewhere", "".into()).await.unwrap();
    let ignored = async || {
        let said = device.log.text().contains("command ignored");
        if said { Ok(()) } else { Err("the log does not tell of it".into()) }
    };
    device.eventually("a command with such a reply subject is ignored", ignored).await;
    assert_eq!(device.operator.ask("ping", json!({})).await.code, 200);
    assert!(elsewhere.next().now_or_never().is_none(), "it was answered");

    let restart = json!({"name": "heartbeat", "command_id": "once"});
    let first = device.operator.ask("actor-restart", restart.clone()).await;
    assert_eq!((first.code, &first.body["restarts"]), (200, &json!(1)));
    assert_eq!(device.operator.ask("actor-restart", restart).await, first);
    let other = json!({"name": "reporter", "command_id": "once"});
    assert_eq!(device.operator.ask("actor-restart", other).await.code, 409);
    let ping = device.operator.ask("ping", json!({"command_id": "mine"})).await;
    assert_eq!(ping.body["command_id"], "mine");
    assert_eq!(device.operator.ask("reconcile", json!({"command_id": "mine"})).await.code, 409);
}

#[tokio::test]
async fn the_service_is_found_by_nats_own_discovery() {
    let device = Device::new().await;
    let instance = device.operator.ask_when_up("ping").await.body["instance"].clone();
    let inbox = device.operator.client.new_inbox();
    let mut answers = device.operator.client.subscribe(inbox.clone()).await.unwrap();
    let ask = device.operator.client.publish_with_reply("$SRV.INFO.fleet-agent", inbox, "".into());
    ask.await.unwrap();
    let answer = tokio::time::timeout(crate::patience::PATIENCE, answers.next()).await.unwrap().unwrap();
    let info: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(info["type"], "io.nats.micro.v1.info_response");
    assert_eq!(info["name"], "fleet-agent");
    assert_eq!(info["metadata"]["device_id"], ID);
    assert_eq!(info["metadata"]["instance"], instance);
    let endpoints = info["endpoints"].as_array().unwrap();
    let mut subjects: Vec<&str> = endpoints.iter().flat_map(|e| e["subject"].as_str()).collect();
    subjects.sort_unstable();
    let verbs = [
        "actor-restart",
        "actors",
        "confirm",
        "inventory",
        "log-level",
        "ping",
        "plan",
        "reconcile",
        "status",
    ];
    assert_eq!(subjects, verbs.map(|verb| format!("device-command.{ID}.{verb}")));
}

#[tokio::test]
async fn removals_that_are_only_absences_are_held_until_they_are_confirmed() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.crash();
    let stream = device.operator.js.get_stream("KV_desired-state").await.unwrap();
    stream.purge().await.unwrap();
    device.boot();
    let held = |state: &Value| state["last_error"]["code"] == "removal-held";
    let state = device.state("web", "the removal is held", held).await;
    assert_eq!(state["phase"], "Running");
    device.state("other", "the removal is held", held).await;
    device.heartbeat("it is told", |beat| beat["reasons"] == json!(["removal-held"])).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    device.operator.ask_when_up("ping").await;
    let removals = json!({"removals": ["web"], "command_id": "c1"});
    let answer = device.operator.ask_packed("confirm", removals).await;
    assert_eq!((answer.code, answer.body), (200, json!({"accepted": ["web"]})));
    device.seen("the confirmed one goes", |all| all.keys().eq(["fleet-other.a"].iter())).await;
    assert_eq!(device.lives()["fleet-other.a"], before["fleet-other.a"]);
}
