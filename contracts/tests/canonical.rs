//! What never changes the canonical form of a document.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
use fleet_contracts::desired::parse;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,8}"
}

fn optional<T: std::fmt::Debug + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(strategy)
}

/// A service with some of its fields, each away from its default.
fn service() -> impl Strategy<Value = Fields> {
    let words = || optional(proptest::collection::vec("[ -~]{0,9}", 1..4));
    let map = || optional(proptest::collection::btree_map("[A-Z]{1,5}", "\\PC{0,9}", 1..5));
    let ports = optional((1..=u16::MAX, 1..=u16::MAX).prop_map(|(host, to)| vec![format!("{host}:{to}")]));
    let volumes = optional(word().prop_map(|name| vec![format!("{name}:/x/{name}:ro")]));
    let restart = optional(proptest::sample::select(vec!["on-failure", "never"]));
    let device = optional(word().prop_map(|name| vec![format!("/dev/{name}:/dev/x:r")]));
    let cpus = optional((1_u32..=10_000).prop_map(|cents| json!({"cpus": f64::from(cents) / 100.0})));
    let check =
        optional((1_u32..=60, word()).prop_map(
            |(interval, word)| json!({"test": ["CMD", word], "interval_s": interval, "retries": 5}),
        ));
    let files = optional(
        ("\\PC{0,9}", "0[0-7]{3}")
            .prop_map(|(content, mode)| json!([{"path": "/f", "content": content, "mode": mode}])),
    );
    let secrets = optional(
        (word(), any::<bool>())
            .prop_map(|(name, reload)| json!([{"name": name, "env": "1", "reload": reload}])),
    );
    let values = (files, secrets, optional(word()));
    let place = (optional(word()), optional(word()), device, cpus, check, values);
    (word(), words(), words(), map(), ports, volumes, restart, map(), place).prop_map(
        |(image, command, entrypoint, env, ports, volumes, restart, labels, place)| {
            let (user, network, devices, resources, check, (files, secrets, registry_auth)) = place;
            let network = network.map(|name| format!("n-{name}"));
            let all = json!({"name": "web", "image": image, "command": command, "entrypoint": entrypoint,
                "env": env, "ports": ports, "volumes": volumes, "restart": restart, "labels": labels,
                "user": user, "network": network, "devices": devices, "resources": resources,
                "healthcheck": check, "files": files, "secrets": secrets, "registry_auth": registry_auth});
            all.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect()
        },
    )
}

fn document(service: &Fields, lifecycle: Value) -> String {
    json!({"type": "PodmanV0", "data": {"services": [service], "lifecycle": lifecycle}}).to_string()
}

fn canonical(document: &str) -> String {
    parse(document.as_bytes()).unwrap_or_else(|r| panic!("{document}: {r}")).deployment.canonical()
}

/// Every field that has a default, at it.
fn defaults() -> Fields {
    let all = json!({"command": null, "entrypoint": [], "env": {}, "ports": [], "volumes": null,
        "restart": "always", "pull": "if-missing", "labels": {}, "working_dir": null, "files": [],
        "devices": [], "network": "bridge", "depends_on": [], "healthcheck": null, "resources": {},
        "registry_auth": null, "secrets": [], "log": {}, "user": null});
    all.as_object().unwrap().clone()
}

/// The same JSON with the keys of every object in reverse.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().rev().map(|(key, value)| format!("{}:{}", json!(key), reversed(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(reversed).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

proptest! {
    #[test]
    fn adding_fields_at_their_default_changes_nothing(
        service in service(),
        chosen in proptest::sample::subsequence(defaults().into_iter().collect::<Vec<_>>(), 0..=19),
    ) {
        let plain = document(&service, Value::Null);
        let mut more: Fields = chosen.into_iter().collect();
        more.extend(service);
        let full = document(&more, json!({"stop_signal": "SIGTERM", "grace_period_s": 30}));
        prop_assert_eq!(canonical(&plain), canonical(&full));
    }

    #[test]
    fn env_as_map_and_as_pairs_is_the_same(service in service(), env in proptest::collection::btree_map("[A-Z]{1,5}", "\\PC{0,9}", 0..5)) {
        let (mut as_map, mut as_pairs) = (service.clone(), service);
        let pairs: Vec<_> = env.iter().rev().collect();
        as_pairs.insert("env".into(), json!(pairs));
        as_map.insert("env".into(), json!(env));
        prop_assert_eq!(canonical(&document(&as_map, Value::Null)), canonical(&document(&as_pairs, Value::Null)));
    }

    #[test]
    fn the_order_of_keys_does_not_matter(service in service(), grace in 0..86_400) {
        let document = document(&service, json!({"grace_period_s": grace, "stop_signal": "SIGINT"}));
        let turned = reversed(&serde_json::from_str(&document).unwrap());
        prop_assert_ne!(&document, &turned);
        prop_assert_eq!(canonical(&document), canonical(&turned));
    }

    #[test]
    fn another_value_of_a_field_is_another_form(service in service(), image in "[a-z]{9,12}") {
        let mut other = service.clone();
        other.insert("image".into(), json!(image + "/other"));
        prop_assert_ne!(canonical(&document(&service, Value::Null)), canonical(&document(&other, Value::Null)));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), service in service()) {
        let _ = parse(&bytes);
        // A document that is nearly right gets further than noise.
        let mut torn = document(&service, Value::Null).into_bytes();
        let at = bytes.len() * 7 % torn.len();
        torn.splice(at..at, bytes);
        let _ = parse(&torn);
    }
}
