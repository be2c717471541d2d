use super::{MAX_SERVICES, Parsed, Refusal, parse};
use crate::desired::{Condition, Cpus, Service};
use crate::names::MAX_DOCUMENT;
use serde_json::{Value, json};

fn document(services: Value) -> Vec<u8> {
    json!({"type": "PodmanV0", "data": {"services": services}}).to_string().into_bytes()
}

/// A document with one good service, some fields of it replaced or added.
fn service_with(fields: Value) -> Vec<u8> {
    let mut service = json!({"name": "web", "image": "registry.example/web:1"});
    let added = fields.as_object().expect("fields are an object").clone();
    service.as_object_mut().expect("an object").extend(added);
    document(json!([service]))
}

fn accepted(document: &[u8]) -> Parsed {
    parse(document).unwrap_or_else(|refusal| panic!("refused: {refusal}"))
}

fn only_service(document: &[u8]) -> Service {
    accepted(document).deployment.services.remove(0)
}

/// The problems as `path: message`.
fn problems(document: &[u8]) -> Vec<String> {
    match parse(document) {
        Err(Refusal::InvalidSpec(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("not refused as invalid: {other:?}"),
    }
}

fn only_problem(document: &[u8]) -> String {
    let mut all = problems(document);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn one_error_names_every_bad_field() {
    let document = json!({"type": "PodmanV0", "data": {
        "services": [
            {"name": "Web", "image": "", "ports": ["80", 443], "restart": "unless-stopped"},
            {"image": "registry.example/db", "env": {"A=B": "x", "PORT": 5432}, "user": "no one",
             "volumes": ["data", "data:rel"], "labels": {"io.fleet.device": "me"}},
            {"name": "db", "image": "oci-archive:srv/db.tar", "command": "run me", "network": "fleet-shop",
             "devices": ["/etc/passwd"], "resources": {"memory_mb": 1.5, "cpus": 0, "pids": -1},
             "working_dir": "srv", "log": {"max_size_mb": "10"},
             "files": [{"path": "/etc/a", "content": 5}, {"path": "/etc/a/b", "content": "", "mode": "rw"}]}],
        "lifecycle": {"stop_signal": "SIGSTOP", "grace_period_s": 86401}}})
    .to_string();
    let all = problems(document.as_bytes());
    let paths: Vec<&str> = all.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "data.services[0].name",
            "data.services[0].image",
            "data.services[0].ports[0]",
            "data.services[0].ports[1]",
            "data.services[0].restart",
            "data.services[1].name",
            "data.services[1].env[\"A=B\"]",
            "data.services[1].env.PORT",
            "data.services[1].user",
            "data.services[1].volumes[0]",
            "data.services[1].volumes[1]",
            "data.services[1].labels[\"io.fleet.device\"]",
            "data.services[2].image",
            "data.services[2].command",
            "data.services[2].working_dir",
            "data.services[2].devices[0]",
            "data.services[2].resources.memory_mb",
            "data.services[2].resources.cpus",
            "data.services[2].resources.pids",
            "data.services[2].log.max_size_mb",
            "data.services[2].network",
            "data.services[2].files[0].content",
            "data.services[2].files[1].path",
            "data.services[2].files[1].mode",
            "data.lifecycle.stop_signal",
            "data.lifecycle.grace_period_s",
        ],
        "{all:#?}"
    );
    let text = parse(document.as_bytes()).unwrap_err().to_string();
    assert!(all.iter().all(|problem| text.contains(problem)), "{text}");
}

#[test]
fn a_problem_says_what_is_accepted() {
    let cases = [
        (json!({"restart": "no"}), "data.services[0].restart: \"no\": use one of always, on-failure, never"),
        (json!({"pull": 1}), "data.services[0].pull: a number: put it in quotes, only strings are accepted"),
        (
            json!({"pull": "Always"}),
            "data.services[0].pull: \"Always\": use one of if-missing, always, never",
        ),
        (
            json!({"command": "serve"}),
            "data.services[0].command: a list is expected, not a string: \
             write [\"program\", \"argument\"]; no shell reads it",
        ),
        (json!({"command": ["a\0b"]}), "data.services[0].command[0]: a NUL character is not accepted"),
        (json!({"labels": ["a"]}), "data.services[0].labels: an object is expected, not a list"),
        (
            json!({"env": "A=B"}),
            "data.services[0].env: an object or a list of [key, value] is expected, not a string",
        ),
        (
            json!({"env": [["A", "1"], ["A", "2"]]}),
            "data.services[0].env[1][0]: \"A\" is given more than once",
        ),
        (
            json!({"env": [["A", true]]}),
            "data.services[0].env[0][1]: true or false: put it in quotes, only strings are accepted",
        ),
        (json!({"env": ["A=B"]}), "data.services[0].env[0]: write it as [\"KEY\", \"value\"]"),
        (json!({"env": {"A": null}}), "data.services[0].env.A: a string is expected, not null"),
        (
            json!({"secrets": [{"name": "x"}]}),
            "data.services[0].secrets[0]: neither env nor path is given: \
             use one of \"env\" (a variable) and \"path\" (a file in the container)",
        ),
        (
            json!({"ports": ["1:1", "127.0.0.1:1:2"]}),
            "data.services[0].ports[1]: 127.0.0.1:1:2/tcp binds what 1:1/tcp at data.services[0].ports[0] binds already",
        ),
        (
            json!({"volumes": ["a:/x", "/b:/x/:ro"]}),
            "data.services[0].volumes[1]: \"/x/\" is already mounted over at data.services[0].volumes[0]",
        ),
    ];
    for (fields, message) in cases {
        assert_eq!(only_problem(&service_with(fields)), message);
    }
}

#[test]
fn the_value_of_a_variable_is_never_repeated_in_a_message() {
    let document = service_with(json!({"env": {"PIN": 4711, "A": ["4711"], "B": "4711\0"}}));
    let text = parse(&document).unwrap_err().to_string();
    assert!(!text.contains("4711"), "{text}");
    let text = parse(&service_with(json!({"env": ["PIN=4711", ["4711"]]}))).unwrap_err().to_string();
    assert!(!text.contains("4711"), "{text}");
}

#[test]
fn unknown_fields_are_named_and_change_nothing() {
    let document = json!({"type": "PodmanV0", "note": 1, "data": {
        "services": [{"name": "web", "image": "a", "comand": ["x"], "x.y": {"deep": [1]}}],
        "lifecycle": {"grace": 3}, "v": 2}})
    .to_string();
    let parsed = accepted(document.as_bytes());
    let paths =
        ["note", "data.v", "data.services[0].comand", "data.services[0][\"x.y\"]", "data.lifecycle.grace"];
    assert_eq!(parsed.warnings, paths);
    let plain = accepted(&document_of_one("a"));
    assert_eq!(parsed.deployment, plain.deployment);
}

fn document_of_one(image: &str) -> Vec<u8> {
    document(json!([{"name": "web", "image": image}]))
}

#[test]
fn fields_at_their_default_count_as_absent() {
    let plain = accepted(&service_with(json!({})));
    let defaults = json!({"working_dir": null, "user": null, "files": [], "devices": [], "network": "bridge",
        "depends_on": [], "healthcheck": null, "resources": {}, "registry_auth": null, "secrets": [], "log": {}});
    assert_eq!(accepted(&service_with(defaults)), plain);
}

#[test]
fn limits_are_taken_within_their_ranges() {
    let set = json!({"resources": {"memory_mb": 128, "cpus": 0.5, "pids": 256}, "log": {"max_size_mb": 10}});
    let service = only_service(&service_with(set));
    assert_eq!((service.resources.memory_mb, service.resources.pids), (Some(128), Some(256)));
    assert_eq!(service.resources.cpus.map(Cpus::nanos), Some(500_000_000));
    assert_eq!(service.log.max_size_mb, Some(10));
    for (what, path) in [
        (json!({"resources": {"memory_mb": 5}}), "resources.memory_mb"),
        (json!({"resources": {"cpus": 0.001}}), "resources.cpus"),
        (json!({"resources": {"cpus": "0.5"}}), "resources.cpus"),
        (json!({"resources": {"pids": 0}}), "resources.pids"),
        (json!({"log": {"max_size_mb": 0}}), "log.max_size_mb"),
    ] {
        let problem = only_problem(&service_with(what));
        assert!(problem.starts_with(&format!("data.services[0].{path}: a ")), "{problem}");
    }
}

#[test]
fn a_core_has_one_spelling_however_it_is_written() {
    let canonical = |cpus: &str| {
        let document = format!(
            r#"{{"type": "PodmanV0", "data": {{"services": [{{"name": "a", "image": "a", "resources": {{"cpus": {cpus}}}}}]}}}}"#
        );
        parse(document.as_bytes()).unwrap().deployment.canonical()
    };
    assert_eq!(canonical("1"), canonical("1.0"));
    assert!(canonical("0.10").contains(r#""resources":{"cpus":0.1}"#), "{}", canonical("0.10"));
}

#[test]
fn ports_are_published_only_from_a_bridge() {
    for network in ["host", "none"] {
        let problem = only_problem(&service_with(json!({"network": network, "ports": ["80:80"]})));
        assert!(
            problem.starts_with("data.services[0].network: ") && problem.contains("\"ports\""),
            "{problem}"
        );
        only_service(&service_with(json!({"network": network, "ports": []})));
    }
    only_service(&service_with(json!({"network": "plant", "ports": ["80:80"]})));
}

#[test]
fn a_user_is_a_name_or_a_number_with_or_without_a_group() {
    for user in ["1000", "www-data", "1000:1000", "app:dialout"] {
        assert_eq!(only_service(&service_with(json!({"user": user}))).user.as_deref(), Some(user));
    }
    for user in ["", ":", "a:", ":b", "a b", "a:b:c"] {
        let problem = only_problem(&service_with(json!({"user": user})));
        assert!(problem.starts_with("data.services[0].user: "), "{problem}");
    }
}

#[test]
fn one_place_holds_one_device() {
    let problem = only_problem(&service_with(json!({"devices": ["/dev/a:/dev/x", "/dev/b:/dev/x"]})));
    assert_eq!(
        problem,
        "data.services[0].devices[1]: \"/dev/x\" is already given at data.services[0].devices[0]"
    );
}

#[test]
fn a_document_of_another_type_is_refused_by_name_whatever_it_holds() {
    let refusal = parse(br#"{"type": "PodmanV9", "data": 7}"#).unwrap_err();
    assert_eq!(refusal, Refusal::UnsupportedType("PodmanV9".into()));
    assert_eq!(refusal.to_string(), "type \"PodmanV9\" is not supported by this agent; it knows PodmanV0");
}

#[test]
fn a_document_without_type_is_invalid() {
    assert_eq!(
        only_problem(br#"{"data": {"services": [{"name": "a", "image": "a"}]}}"#),
        "type: required: this agent knows \"PodmanV0\""
    );
}

#[test]
fn keys_given_twice_are_refused_by_path() {
    let document = br#"{"type": "PodmanV0", "type": "PodmanV0", "data": {"services": [
        {"name": "web", "image": "a", "image": "b", "env": {"A": "1", "A": "2"}, "other": [{"b": 1, "b": 1}]}]}}"#;
    let expected = [
        "type: given more than once",
        "data.services[0].image: given more than once",
        "data.services[0].env.A: given more than once",
        "data.services[0].other[0].b: given more than once",
    ];
    assert_eq!(problems(document), expected);
}

#[test]
fn what_is_no_json_is_refused_with_line_and_column() {
    assert_eq!(only_problem(b"{\n \"type\": ,}"), "not valid JSON: expected value at line 2 column 10");
    assert_eq!(only_problem(b"{} {}"), "not valid JSON: trailing characters at line 1 column 4");
    assert_eq!(only_problem(b""), "empty: a JSON object is expected");
    assert_eq!(only_problem(b"{\"a\": \"\xff\"}"), "not valid UTF-8 at byte 7");
    assert!(only_problem(b"\xef\xbb\xbf{}").contains("byte order mark"));
    assert_eq!(only_problem(b"[1]"), "an object is expected, not a list");
}

#[test]
fn nesting_without_end_is_refused() {
    let bomb = [b"{\"a\":".repeat(40_000), b"1".to_vec(), b"}".repeat(40_000)].concat();
    assert!(only_problem(&bomb).starts_with("not valid JSON: recursion limit exceeded"));
}

#[test]
fn a_document_above_256_kib_is_refused_and_one_of_256_kib_is_read() {
    let mut document = document_of_one("a");
    document.resize(MAX_DOCUMENT, b' ');
    accepted(&document);
    document.push(b' ');
    assert_eq!(only_problem(&document), "262145 bytes are too many: a document has at most 262144");
}

#[test]
fn the_list_of_problems_and_of_warnings_has_an_end() {
    let all = problems(&service_with(json!({"ports": vec![0; 60_000]})));
    assert_eq!(all.len(), 65);
    assert_eq!(all[64], "and 59936 more problems");
    let unknown: serde_json::Map<String, Value> = (0..100).map(|n| (format!("x{n}"), json!(1))).collect();
    let parsed = accepted(&service_with(Value::Object(unknown)));
    assert_eq!((parsed.warnings.len(), parsed.warnings[64].as_str()), (65, "and 36 more"));
}

#[test]
fn a_message_repeats_only_the_begin_of_a_long_word() {
    let problem = only_problem(&service_with(json!({"restart": "x".repeat(100_000)})));
    assert!(problem.len() < 300, "{}", problem.len());
    let long = "k".repeat(100_000);
    assert!(accepted(&service_with(json!({long: 1}))).warnings[0].len() < 300);
}

#[test]
fn at_least_one_and_at_most_64_services() {
    let services =
        |n: usize| document((0..n).map(|n| json!({"name": format!("s{n}"), "image": "a"})).collect());
    assert!(only_problem(&services(0)).contains("data.services: at least one service is required"));
    assert_eq!(accepted(&services(MAX_SERVICES)).deployment.services.len(), MAX_SERVICES);
    assert!(only_problem(&services(65)).starts_with("data.services: 65 services are too many"));
}

#[test]
fn names_of_services_are_unique() {
    let document = document(json!([{"name": "a", "image": "x"}, {"name": "b"}, {"name": "a", "image": "x"}]));
    let all = problems(&document);
    assert!(all[0].starts_with("data.services[1].image: required"), "{all:?}");
    assert_eq!(all[1], "data.services[2].name: \"a\" is already the name at data.services[0].name");
}

#[test]
fn a_port_of_the_device_is_bound_once_in_a_deployment() {
    let two = |a: &str, b: &str| {
        document(
            json!([{"name": "a", "image": "x", "ports": [a]}, {"name": "b", "image": "x", "ports": [b]}]),
        )
    };
    assert!(only_problem(&two("80:1", "80:2")).starts_with("data.services[1].ports[0]: 80:2/tcp binds what"));
    accepted(&two("80:1", "80:1/udp"));
}

#[test]
fn an_empty_command_is_the_images_own() {
    let parsed = accepted(&service_with(json!({"command": [], "entrypoint": []})));
    assert_eq!(parsed, accepted(&service_with(json!({}))));
}

#[test]
fn env_as_pairs_may_be_empty_or_have_empty_values() {
    let parsed = accepted(&service_with(json!({"env": [["A", ""], ["B", "x=y"]]})));
    let env: Vec<_> =
        parsed.deployment.services[0].env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(env, [("A", ""), ("B", "x=y")]);
}

/// `web` with these dependencies, beside a checked `db` and a job.
fn depending(dependencies: Value) -> Vec<u8> {
    document(json!([
        {"name": "web", "image": "a", "depends_on": dependencies},
        {"name": "db", "image": "a", "healthcheck": {"test": ["CMD", "check"]}},
        {"name": "job", "image": "a", "restart": "never"}]))
}

#[test]
fn a_service_waits_for_others_of_its_document() {
    let all =
        json!([{"service": "db", "condition": "healthy"}, {"service": "job", "condition": "completed"}]);
    let web = only_first(&depending(all));
    let conditions: Vec<_> = web.depends_on.iter().map(|d| (d.service.as_str(), d.condition)).collect();
    assert_eq!(conditions, [("db", Condition::Healthy), ("job", Condition::Completed)]);
    assert_eq!(
        only_first(&depending(json!([{"service": "db"}]))).depends_on[0].condition,
        Condition::Started
    );
}

fn only_first(document: &[u8]) -> Service {
    accepted(document).deployment.services.remove(0)
}

#[test]
fn a_dependency_that_can_never_come_about_is_refused_by_its_path() {
    for (dependency, path, why) in [
        (json!({"service": "cache"}), "", "no service \"cache\""),
        (json!({"service": "web"}), "", "cannot wait for itself"),
        (json!({"service": "job", "condition": "healthy"}), "", "no healthcheck"),
        (json!({"service": "db", "condition": "completed"}), "", "never completes"),
        (
            json!({"service": "db", "condition": "ready"}),
            ".condition",
            "use one of started, healthy, completed",
        ),
        (json!({"condition": "healthy"}), ".service", "required"),
        (json!("db"), "", "an object is expected"),
    ] {
        let problem = only_problem(&depending(json!([dependency])));
        let path = format!("data.services[0].depends_on[0]{path}: ");
        assert!(problem.starts_with(&path) && problem.contains(why), "{problem}");
    }
    let twice = only_problem(&depending(json!([{"service": "db"}, {"service": "db"}])));
    assert!(twice.starts_with("data.services[0].depends_on[1]: \"db\" is already given at "), "{twice}");
}

#[test]
fn services_that_wait_for_each_other_are_refused_with_the_way_round() {
    let on = |name: &str, on: &[&str]| {
        let all: Vec<Value> = on.iter().map(|name| json!({"service": name})).collect();
        json!({"name": name, "image": "a", "depends_on": all})
    };
    let circle =
        [on("z", &["a"]), on("a", &["free", "b"]), on("b", &["c"]), on("c", &["a"]), on("free", &[])];
    let problem = only_problem(&document(json!(circle)));
    assert_eq!(
        problem,
        "data.services[1].depends_on: the services wait for each other for ever: a → b → c → a"
    );
    // Two ways to one service are no circle.
    accepted(&document(json!([on("a", &["b", "c"]), on("b", &["d"]), on("c", &["d"]), on("d", &[])])));
}

#[test]
fn a_healthcheck_has_dockers_words_and_defaults() {
    let check =
        |healthcheck: Value| only_service(&service_with(json!({"healthcheck": healthcheck}))).healthcheck;
    let plain = check(json!({"test": ["CMD", "/bin/check", "-q"]})).unwrap();
    assert_eq!(plain.test.argv(), ["/bin/check", "-q"]);
    assert_eq!((plain.interval_s, plain.timeout_s, plain.retries, plain.start_period_s), (30, 30, 3, 0));
    assert_eq!(
        check(json!({"test": ["CMD-SHELL", "a | b"]})).unwrap().test.argv(),
        ["/bin/sh", "-c", "a | b"]
    );
    assert_eq!(check(json!({"test": ["NONE"]})), None);
    for (wrong, path) in [
        (json!({"test": "/bin/check"}), "test"),
        (json!({"test": []}), "test"),
        (json!({"test": ["/bin/check"]}), "test"),
        (json!({"test": ["CMD"]}), "test"),
        (json!({"test": ["CMD-SHELL", "a", "b"]}), "test"),
        (json!({"interval_s": 5}), "test"),
        (json!({"test": ["CMD", "a"], "interval_s": 0}), "interval_s"),
        (json!({"test": ["CMD", "a"], "timeout_s": 1.5}), "timeout_s"),
        (json!({"test": ["CMD", "a"], "retries": 101}), "retries"),
        (json!({"test": ["CMD", "a"], "start_period_s": -1}), "start_period_s"),
    ] {
        let problem = only_problem(&service_with(json!({"healthcheck": wrong})));
        assert!(problem.starts_with(&format!("data.services[0].healthcheck.{path}: ")), "{problem}");
    }
}
