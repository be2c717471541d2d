use super::*;
use crate::desired::{Service, parse};
use serde_json::json;

fn read_service(fields: Value) -> Result<Service, String> {
    let mut service = json!({"name": "web", "image": "demo:1"});
    service.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let document = json!({"type": "PodmanV0", "data": {"services": [service]}}).to_string();
    let parsed = parse(document.as_bytes()).map_err(|refusal| refusal.to_string())?;
    Ok(parsed.deployment.services.into_iter().next().unwrap())
}

#[test]
fn a_secret_goes_into_a_variable_or_into_a_file() {
    let given = json!({"secrets": [{"name": "db-password", "env": "DB_PASSWORD", "reload": true},
                                   {"name": "tls.key", "path": "/run/key.pem", "reload": false}]});
    let secrets = read_service(given).unwrap().secrets;
    let name = |name: &str| name.parse().unwrap();
    assert_eq!(
        secrets,
        [
            Secret {
                name: name("db-password"),
                target: SecretTarget::Env("DB_PASSWORD".into()),
                reload: true
            },
            Secret {
                name: name("tls.key"),
                target: SecretTarget::Path("/run/key.pem".into()),
                reload: false
            },
        ]
    );
}

#[test]
fn what_is_no_secret_is_refused_with_its_path() {
    for (secret, expected) in [
        (json!("db"), "secrets[0]: an object is expected"),
        (json!({"env": "A"}), "secrets[0].name: required"),
        (json!({"name": "db"}), "secrets[0]: neither env nor path"),
        (json!({"name": "db", "env": "A", "path": "/a"}), "secrets[0]: env and path are both given"),
        (json!({"name": "../shadow", "env": "A"}), "secrets[0].name: name of a value \"../shadow\""),
        (json!({"name": "db", "env": "A=B"}), "secrets[0].env: the name of a variable"),
        (json!({"name": "db", "path": "a"}), "secrets[0].path: the path in the container"),
        (json!({"name": "db", "env": "A", "reload": "yes"}), "secrets[0].reload: true or false is expected"),
    ] {
        let refusal = read_service(json!({"secrets": [secret]})).expect_err("refused");
        assert!(refusal.contains(expected), "{secret}: {refusal}");
    }
}

#[test]
fn one_variable_and_one_path_have_one_value() {
    let secret = |target: &str, at: &str| json!({"name": "db", target: at});
    for fields in [
        json!({"env": {"A": "1"}, "secrets": [secret("env", "A")]}),
        json!({"secrets": [secret("env", "A"), secret("env", "A")]}),
        json!({"files": [{"path": "/a", "content": ""}], "secrets": [secret("path", "/a")]}),
        json!({"volumes": ["data:/run"], "secrets": [secret("path", "/run/key")]}),
        json!({"secrets": [secret("path", "/a"), secret("path", "/a/b")]}),
    ] {
        assert!(read_service(fields.clone()).is_err(), "{fields}");
    }
    let both = json!({"secrets": [secret("env", "A"), secret("env", "B"), secret("path", "/a")]});
    assert_eq!(read_service(both).unwrap().secrets.len(), 3);
}

#[test]
fn the_name_of_a_value_cannot_leave_its_directory() {
    for good in ["a", "db-password", "tls.key", "A_1", &"x".repeat(128)] {
        assert!(good.parse::<ValueName>().is_ok(), "{good}");
    }
    for bad in ["", ".", "..", ".hidden", "a/b", "/etc/shadow", "a\0", "a b", "ä", &"x".repeat(129)] {
        assert!(bad.parse::<ValueName>().is_err(), "{bad:?}");
    }
}
