use super::*;
use crate::desired::{Service, parse};
use serde_json::{Value, json};

fn read_service(fields: Value) -> Result<Service, String> {
    let mut service = json!({"name": "web", "image": "demo:1"});
    service.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let document = json!({"type": "PodmanV0", "data": {"services": [service]}}).to_string();
    let parsed = parse(document.as_bytes()).map_err(|refusal| refusal.to_string())?;
    Ok(parsed.deployment.services.into_iter().next().unwrap())
}

fn files(files: Value) -> Result<Vec<File>, String> {
    read_service(json!({"files": files})).map(|service| service.files)
}

#[test]
fn a_mode_has_one_spelling() {
    for (given, expected) in [("0640", "0640"), ("640", "0640"), ("4755", "4755"), ("0000", "0000")] {
        assert_eq!(given.parse::<FileMode>().map(|mode| mode.to_string()).as_deref(), Ok(expected));
    }
    for given in ["", "64", "06400", "0o640", "888", "rw-", "-644", "+644"] {
        assert!(given.parse::<FileMode>().unwrap_err().contains("octal"), "{given}");
    }
}

#[test]
fn a_file_has_a_path_and_a_content_and_perhaps_a_mode() {
    let read = files(json!([{"path": "/etc/a", "content": "x\n", "mode": "0600"},
                            {"path": "/etc/b", "content": ""}]));
    let of = |path: &str, content: &str, mode| File {
        path: path.into(),
        content: content.into(),
        mode: FileMode(mode),
    };
    assert_eq!(read, Ok(vec![of("/etc/a", "x\n", 0o600), of("/etc/b", "", 0o644)]));
}

#[test]
fn what_is_no_file_is_refused_with_its_path() {
    for (file, expected) in [
        (json!("x"), "files[0]: an object is expected"),
        (json!({"content": "x"}), "files[0].path: required"),
        (json!({"path": "/a"}), "files[0].content: required"),
        (json!({"path": "etc/a", "content": ""}), "files[0].path: the path in the container"),
        (json!({"path": "/etc/../a", "content": ""}), "files[0].path"),
        (json!({"path": "/etc//a", "content": ""}), "empty parts"),
        (json!({"path": "/etc/a/", "content": ""}), "empty parts"),
        (json!({"path": "/", "content": ""}), "empty parts"),
        (json!({"path": "/a", "content": 1}), "files[0].content: a number"),
        (json!({"path": "/a", "content": "", "mode": 640}), "files[0].mode: a number"),
        (json!({"path": "/a", "content": "", "mode": "0999"}), "files[0].mode: \"0999\""),
        (json!({"path": "/proc/a", "content": ""}), "the runtime puts its own"),
        (json!({"path": "/etc/hosts", "content": ""}), "the runtime puts its own"),
    ] {
        let refusal = files(json!([file])).expect_err("refused");
        assert!(refusal.contains(expected), "{file}: {refusal}");
    }
}

#[test]
fn one_path_holds_one_thing() {
    let refused = |fields: Value| read_service(fields).expect_err("refused");
    let file = |path: &str| json!({"path": path, "content": ""});
    let twice = refused(json!({"files": [file("/etc/a"), file("/etc/a")]}));
    assert!(
        twice.contains("files[1].path: \"/etc/a\" clashes with the file at data.services[0].files[0].path"),
        "{twice}"
    );
    let inside = refused(json!({"files": [file("/etc/a"), file("/etc/a/b")]}));
    assert!(inside.contains("files[1].path"), "{inside}");
    for target in ["/etc/a", "/etc", "/etc/a/b"] {
        let refusal = refused(json!({"volumes": [format!("data:{target}")], "files": [file("/etc/a")]}));
        assert!(refusal.contains("clashes with the volume at data.services[0].volumes[0]"), "{refusal}");
    }
    assert!(read_service(json!({"volumes": ["data:/etc/ab"], "files": [file("/etc/a")]})).is_ok());
}

#[test]
fn a_content_is_never_repeated_in_a_message() {
    let refusal = files(json!([{"path": "a", "content": "hunter2", "mode": "x"}])).expect_err("refused");
    assert!(!refusal.contains("hunter2"), "{refusal}");
}
