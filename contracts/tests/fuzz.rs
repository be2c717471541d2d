//! Whatever bytes a document has: it is read or refused, with every fault in it named, and never more.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
use fleet_contracts::desired::{DesiredDeployment, Parsed, Refusal, canonical_spec, parse};
use fleet_contracts::names::MAX_DOCUMENT;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Of a thread of the agent's runtime, debug frames included, it is a quarter.
const SMALL_STACK: usize = 512 * 1024;
/// No refusal is longer, in bytes: it is kept and published.
const LONGEST_REFUSAL: usize = 256 * 1024;

/// Reads it as the agent does, with little stack, and holds the answer to what is true of every answer.
fn read(document: &[u8]) -> Result<Parsed, Refusal> {
    let reading = |document: &[u8]| {
        let answer = parse(document);
        match &answer {
            Ok(parsed) => survives_itself(&parsed.deployment),
            Err(refusal) => is_bounded(refusal),
        }
        answer
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(SMALL_STACK);
        thread.spawn_scoped(scope, || reading(document)).unwrap().join().unwrap()
    })
}

/// What was accepted is accepted again in its canonical form, as the same: another digest would make containers
/// anew.
fn survives_itself(deployment: &DesiredDeployment) {
    let canonical = deployment.canonical();
    // Short forms become longer in it.
    if canonical.len() > MAX_DOCUMENT {
        return;
    }
    let again = parse(canonical.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}: {canonical}"));
    assert_eq!(again.warnings, [""; 0], "{canonical}");
    assert_eq!(again.deployment.canonical(), canonical);
    let specs = |of: &DesiredDeployment| -> Vec<String> {
        of.services.iter().map(|service| canonical_spec(service, &of.lifecycle)).collect()
    };
    assert_eq!(specs(&again.deployment), specs(deployment));
}

fn is_bounded(refusal: &Refusal) {
    let length = refusal.to_string().len();
    assert!(length > 0 && length <= LONGEST_REFUSAL, "{length} bytes");
}

/// The paths that a refusal names.
fn faults(document: &Value) -> Vec<String> {
    match read(document.to_string().as_bytes()) {
        Err(Refusal::InvalidSpec(problems)) => problems.into_iter().map(|problem| problem.path).collect(),
        other => panic!("not refused as invalid: {other:?}\n{document}"),
    }
}

/// The example documents, and one that uses every field.
fn examples() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let documents = files.filter(|file| file.extension().is_some_and(|extension| extension == "json"));
    let read = documents.map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap());
    read.chain([every_field()]).collect()
}

fn every_field() -> Value {
    let web = json!({"name": "web", "image": "registry.example/web:1", "command": ["a"], "entrypoint": ["b"],
        "working_dir": "/srv", "user": "1:2", "env": {"A": "b"}, "ports": ["127.0.0.1:80:8080/udp"],
        "volumes": ["data:/data:ro"], "files": [{"path": "/etc/f", "content": "x", "mode": "0600"}],
        "devices": ["/dev/a:/dev/b:rw"], "network": "n", "depends_on": [{"service": "db", "condition": "healthy"}],
        "resources": {"memory_mb": 64, "cpus": 0.5, "pids": 32}, "log": {"max_size_mb": 10},
        "restart": "on-failure", "pull": "always", "registry_auth": "plant", "labels": {"team": "edge"},
        "secrets": [{"name": "k", "path": "/run/k", "reload": true}, {"name": "p", "env": "P"}]});
    let db = json!({"name": "db", "image": "db", "healthcheck":
        {"test": ["CMD", "ready"], "interval_s": 10, "timeout_s": 3, "retries": 3, "start_period_s": 60}});
    let lifecycle = json!({"stop_signal": "SIGINT", "grace_period_s": 10});
    json!({"type": "PodmanV0", "data": {"services": [web, db], "lifecycle": lifecycle}})
}

/// Any JSON, also such as no document has.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof!["[ -~]{0,12}", "\\PC{0,12}", ".{0,12}", "[a-z/:.0-9]{0,12}"];
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2..100_i64).prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        word.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(key(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Names of fields, and others.
fn key() -> impl Strategy<Value = String> {
    let names: Vec<String> = nodes(&every_field()).iter().filter_map(|node| last_key(node)).collect();
    prop_oneof![3 => proptest::sample::select(names), 1 => "\\PC{0,12}"]
}

fn last_key(pointer: &str) -> Option<String> {
    let key = pointer.rsplit('/').next()?;
    (!key.is_empty() && key.parse::<usize>().is_err()).then(|| key.to_owned())
}

/// The JSON pointers of all values in a document, its own included.
fn nodes(document: &Value) -> Vec<String> {
    let below = |(key, value): (String, &Value)| {
        nodes(value).into_iter().map(move |rest| format!("/{key}{rest}")).collect::<Vec<_>>()
    };
    let children: Vec<(String, &Value)> = match document {
        Value::Object(map) => map.iter().map(|(key, value)| (escaped(key), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    std::iter::once(String::new()).chain(children.into_iter().flat_map(below)).collect()
}

/// RFC 6901.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn any_example() -> impl Strategy<Value = Value> {
    proptest::sample::select(examples())
}

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Edit {
    Put(Index, Vec<u8>),
    Cut(Index, usize),
    Flip(Index, u8),
    Copy(Index, Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let telling =
        proptest::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"", "null", "1e400", "-", "\\u0000"]);
    prop_oneof![
        (any::<Index>(), vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Edit::Put(at, bytes)),
        (any::<Index>(), telling).prop_map(|(at, text)| Edit::Put(at, text.into())),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Edit::Cut(at, length)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Edit::Flip(at, bits)),
        (any::<Index>(), any::<Index>(), 1..200_usize).prop_map(|(from, to, n)| Edit::Copy(from, to, n)),
    ]
}

fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        let span = |at: &Index, n: usize| at.index(length)..(at.index(length) + n).min(length);
        match edit {
            Edit::Put(at, new) => drop(bytes.splice(span(at, 0), new.iter().copied())),
            Edit::Cut(at, n) => drop(bytes.drain(span(at, *n))),
            Edit::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Edit::Copy(from, to, n) => {
                let copy = bytes[span(from, *n)].to_vec();
                drop(bytes.splice(span(to, 0), copy));
            }
        }
    }
    bytes
}

/// The text of a document in which the object at this pointer has its field twice.
fn doubled(document: &Value, object: &str, key: &str) -> String {
    const MARK: &str = "the second one";
    let mut marked = document.clone();
    let fields: &mut Map<String, Value> = marked.pointer_mut(object).unwrap().as_object_mut().unwrap();
    fields.insert(MARK.into(), fields[key].clone());
    marked.to_string().replace(&json!(MARK).to_string(), &json!(key).to_string())
}

/// `/data/services/0/name` as a problem names it.
fn path_of(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(at) => path += &format!("[{at}]"),
            Err(_) if path.is_empty() => path += part,
            Err(_) => path += &format!(".{part}"),
        }
    }
    path
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..2048)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_json_is_read_or_refused(value in any_json()) {
        let _ = read(value.to_string().as_bytes());
    }

    /// What is nearly right gets further than noise.
    #[test]
    fn any_json_in_the_place_of_any_value_of_a_document_is_read_or_refused(
        example in any_example(),
        changes in vec((any::<Index>(), any_json()), 1..4),
    ) {
        let mut document = example;
        for (at, value) in changes {
            let all = nodes(&document);
            *document.pointer_mut(&all[at.index(all.len())]).unwrap() = value;
        }
        let _ = read(document.to_string().as_bytes());
    }

    #[test]
    fn any_field_in_any_object_of_a_document_is_read_or_refused(
        example in any_example(),
        fields in vec((any::<Index>(), key(), any_json()), 1..4),
    ) {
        let mut document = example;
        for (at, key, value) in fields {
            let all: Vec<String> = nodes(&document).into_iter().filter(|n| document.pointer(n).unwrap().is_object()).collect();
            let object = &all[at.index(all.len())];
            document.pointer_mut(object).unwrap().as_object_mut().unwrap().insert(key, value);
        }
        let _ = read(document.to_string().as_bytes());
    }

    #[test]
    fn the_bytes_of_a_document_changed_anywhere_are_read_or_refused(
        example in any_example(),
        edits in vec(edit(), 1..6),
    ) {
        let _ = read(&edited(example.to_string().into_bytes(), &edits));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_by_their_place(example in any_example(), at in any::<Index>(), byte in 0x80_u8..=0xff) {
        let mut bytes = example.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes.insert(at, byte);
        let refusal = read(&bytes).unwrap_err().to_string();
        prop_assert_eq!(refusal, format!("not valid UTF-8 at byte {at}"));
    }

    #[test]
    fn one_refusal_names_every_value_that_is_of_no_kind_that_its_field_takes(broken in vec(any::<Index>(), 1..6)) {
        let mut document = every_field();
        let leaves: Vec<String> = nodes(&document)
            .into_iter()
            .filter(|node| node.starts_with("/data/") && !document.pointer(node).unwrap().is_object())
            .filter(|node| !document.pointer(node).unwrap().is_array())
            .collect();
        for index in &broken {
            *document.pointer_mut(&leaves[index.index(leaves.len())]).unwrap() = json!({"no": ["field", "takes", "this"]});
        }
        let named = faults(&document);
        for index in &broken {
            let path = path_of(&leaves[index.index(leaves.len())]);
            // A list of words is one field.
            let whole = path.rfind('[').map(|end| path[..end].to_owned());
            let is_named = named.contains(&path) || whole.is_some_and(|whole| named.contains(&whole));
            prop_assert!(is_named, "{} is not among {:?}", path, named);
        }
    }

    #[test]
    fn a_field_that_is_given_twice_is_named(example in any_example(), at in any::<Index>()) {
        let fields: Vec<String> = nodes(&example).into_iter().filter(|node| last_key(node).is_some()).collect();
        let field = &fields[at.index(fields.len())];
        let (object, key) = field.rsplit_once('/').unwrap();
        let text = doubled(&example, object, key);
        let Err(Refusal::InvalidSpec(problems)) = read(text.as_bytes()) else { panic!("read: {text}") };
        let twice: Vec<String> = problems.iter().map(ToString::to_string).collect();
        prop_assert!(twice.contains(&format!("{}: given more than once", path_of(field))), "{:?}", twice);
    }

    #[test]
    fn numbers_of_any_size_are_read_or_refused(at in any::<Index>(), digits in "-?(0|[1-9][0-9]{0,400})(\\.[0-9]{1,400})?([eE][+-]?[0-9]{1,6})?") {
        const MARK: &str = "a number";
        let mut document = every_field();
        let all = nodes(&document);
        *document.pointer_mut(&all[at.index(all.len())]).unwrap() = json!(MARK);
        let _ = read(document.to_string().replace(&json!(MARK).to_string(), &digits).as_bytes());
    }

    #[test]
    fn nesting_of_any_depth_is_read_or_refused(
        at in any::<Index>(),
        levels in prop_oneof![1..200_usize, 1..100_000_usize],
        open in proptest::sample::select(vec!["[", "{\"a\":", "{\"services\":[{\"a\":"]),
    ) {
        const MARK: &str = "deep";
        let mut document = every_field();
        let all = nodes(&document);
        *document.pointer_mut(&all[at.index(all.len())]).unwrap() = json!(MARK);
        let whole = |close: &str| document.to_string().replace(&json!(MARK).to_string(), &(open.repeat(levels) + close));
        let _ = read(whole("").as_bytes());
        let closing: String = open.chars().rev().filter_map(|c| match c { '[' => Some(']'), '{' => Some('}'), _ => None }).collect();
        let _ = read(whole(&format!("1{}", closing.repeat(levels))).as_bytes());
    }
}

/// Fills a document up to the limit with as many of something as there is room for.
fn full_of(begin: &str, item: impl Fn(usize) -> String, end: &str) -> String {
    let mut document = begin.to_owned();
    let mut n = 0;
    loop {
        let next = format!("{}{}", if n == 0 { "" } else { "," }, item(n));
        if document.len() + next.len() + end.len() > MAX_DOCUMENT {
            break;
        }
        document += &next;
        n += 1;
    }
    document + end
}

/// As large as one may be, and as costly as could be thought of: what reads it must not grow with the square.
#[test]
fn a_document_full_of_anything_is_read_or_refused() {
    let service = |field: &str| {
        format!(r#"{{"type":"PodmanV0","data":{{"services":[{{"name":"a","image":"b",{field}:"#)
    };
    let list = |field: &str, item: fn(usize) -> String| full_of(&(service(field) + "["), item, "]}]}}");
    let map = |field: &str, item: fn(usize) -> String| full_of(&(service(field) + "{"), item, "}}]}}");
    for document in [
        list(r#""ports""#, |n| format!(r#""{}:1""#, n + 1)),
        list(r#""ports""#, |_| r#""80:1""#.into()),
        list(r#""volumes""#, |n| format!(r#""a:/{n}""#)),
        list(r#""volumes""#, |_| r#""a:/a""#.into()),
        list(r#""files""#, |n| format!(r#"{{"path":"/{n}","content":""}}"#)),
        list(r#""files""#, |n| format!(r#"{{"path":"{}","content":""}}"#, "/a".repeat(n % 2000 + 1))),
        list(r#""secrets""#, |n| format!(r#"{{"name":"s","path":"/{n}"}}"#)),
        list(r#""secrets""#, |n| format!(r#"{{"name":"s","env":"E{n}"}}"#)),
        list(r#""devices""#, |n| format!(r#""/dev/a:/dev/{n}""#)),
        list(r#""depends_on""#, |n| format!(r#"{{"service":"s{n}"}}"#)),
        list(r#""command""#, |_| "\"\"".into()),
        list(r#""env""#, |n| format!(r#"["{n}",""]"#)),
        list(r#""env""#, |_| "[]".into()),
        map(r#""env""#, |n| format!(r#""{n}":"""#)),
        map(r#""env""#, |_| r#""A":"""#.into()),
        map(r#""labels""#, |n| format!(r#""{n}":"""#)),
        map(r#""x""#, |n| format!(r#""{n}":0"#)),
        full_of("[", |_| "{}".into(), "]"),
        full_of(r#"{"type":"PodmanV0","data":{"services":["#, |_| "0".into(), "]}}"),
        full_of("{", |n| format!(r#""\u0001{n}":0"#), "}"),
    ] {
        if let Err(refusal) = parse(document.as_bytes()) {
            is_bounded(&refusal);
        }
    }
}

/// The place of a value is told by the names of all that it is in; whoever writes it down for each value of a
/// document needs gigabytes.
#[test]
fn many_values_far_below_long_names_are_read_or_refused() {
    let name = format!("\"{}\"", r"\u0001".repeat(80));
    let begin = format!("{{{name}:").repeat(120);
    let many = full_of(&format!("{begin}["), |_| "0".into(), &format!("]{}", "}".repeat(120)));
    let _ = read(many.as_bytes());
    let twice = full_of(&format!("{begin}{{"), |_| "\"a\":0".into(), &"}".repeat(121));
    assert!(read(twice.as_bytes()).unwrap_err().to_string().contains("given more than once"));
}
