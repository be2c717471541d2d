use super::{DEFAULT_URL, Target, resolve};
use crate::cli::Cli;
use crate::exit::{Exit, describe};
use clap::Parser;
use std::path::Path;

/// Resolves with these flags and this environment, and a configuration folder.
fn target(flags: &str, env: &[(&str, &str)], config: &Path) -> anyhow::Result<Target> {
    let line = format!("fleetctl devices {flags}");
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    let lookup = |name: &str| match name {
        "XDG_CONFIG_HOME" => Some(config.to_string_lossy().into_owned()),
        _ => env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()),
    };
    resolve(&cli.global, &lookup)
}

/// A configuration folder with contexts, of which one may be selected.
fn config(contexts: &[(&str, &str)], selected: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let nats = folder.path().join("nats");
    std::fs::create_dir_all(nats.join("context")).unwrap();
    for (name, json) in contexts {
        std::fs::write(nats.join("context").join(format!("{name}.json")), json).unwrap();
    }
    if let Some(name) = selected {
        std::fs::write(nats.join("context.txt"), format!("{name}\n")).unwrap();
    }
    folder
}

/// As `nats context save` writes it: absent settings are empty strings.
const FIELD: &str = r#"{"description":"the field","url":"nats://field:4222,nats://field2:4222","token":"",
    "user":"op","password":"pw","creds":"","nkey":"","cert":"","key":"","ca":"/etc/ca.pem","nsc":"",
    "jetstream_domain":"","jetstream_api_prefix":"","jetstream_event_prefix":"","inbox_prefix":"_INBOX.op",
    "user_jwt":"","color_scheme":"","tls_first":false}"#;

#[test]
fn without_anything_it_is_localhost() {
    let folder = config(&[], None);
    let target = target("", &[], folder.path()).unwrap();
    assert_eq!(target, Target { servers: vec![DEFAULT_URL.into()], ..Target::default() });
}

#[test]
fn the_selected_context_gives_url_credentials_and_inbox() {
    let folder = config(&[("field", FIELD)], Some("field"));
    let target = target("", &[], folder.path()).unwrap();
    assert_eq!(target.servers, ["nats://field:4222", "nats://field2:4222"]);
    assert_eq!((target.user.as_deref(), target.password.as_deref()), (Some("op"), Some("pw")));
    assert_eq!((target.token, target.inbox_prefix.as_deref()), (None, Some("_INBOX.op")));
    assert_eq!((target.ca.as_deref(), target.cert), (Some(Path::new("/etc/ca.pem")), None));
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_context() {
    let folder = config(&[("field", FIELD), ("lab", r#"{"url":"nats://lab:4222"}"#)], Some("lab"));
    let env = [("NATS_URL", "nats://env:4222"), ("NATS_USER", "env"), ("NATS_CONTEXT", "field")];
    let servers =
        |flags: &str, env: &[(&str, &str)]| target(flags, env, folder.path()).unwrap().servers[0].clone();
    assert_eq!(servers("--server nats://flag:4222", &env), "nats://flag:4222");
    assert_eq!(servers("", &env), "nats://env:4222");
    assert_eq!(servers("", &env[2..]), "nats://field:4222");
    assert_eq!(servers("--context lab", &env[2..]), "nats://lab:4222");
    assert_eq!(servers("", &[("NATS_URL", "")]), "nats://lab:4222");
    let mixed = target("--password flag", &env, folder.path()).unwrap();
    assert_eq!((mixed.user.as_deref(), mixed.password.as_deref()), (Some("env"), Some("flag")));
}

#[test]
fn contexts_are_looked_for_under_home_too() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/nats/context");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("lab.json"), r#"{"url":"nats://lab:4222"}"#).unwrap();
    let cli = Cli::try_parse_from(["fleetctl", "--context", "lab", "devices"]).unwrap();
    let env = |name: &str| (name == "HOME").then(|| home.path().to_string_lossy().into_owned());
    assert_eq!(resolve(&cli.global, &env).unwrap().servers, ["nats://lab:4222"]);
}

#[test]
fn a_context_that_is_not_there_is_an_error_that_lists_those_that_are() {
    let folder = config(&[("field", FIELD), ("lab", "{}")], None);
    let error = target("--context filed", &[], folder.path()).unwrap_err();
    let (text, exit) = describe(&error);
    assert!(text.contains("context filed") && text.contains("there are: field, lab"), "{text}");
    assert_eq!(exit, Exit::Usage);
}

#[test]
fn credentials_that_are_not_supported_yet_are_refused_and_not_left_out() {
    for field in ["creds", "nkey", "nsc", "user_jwt", "jetstream_domain"] {
        let json = format!(r#"{{"url":"nats://x:4222","{field}":"set"}}"#);
        let folder = config(&[("field", &json)], Some("field"));
        let (text, exit) = describe(&target("", &[], folder.path()).unwrap_err());
        assert!(text.contains(&format!("{field} in the context field is not supported yet")), "{text}");
        assert_eq!(exit, Exit::Usage);
    }
    let folder = config(&[], None);
    assert!(target("", &[("NATS_CREDS", "/x.creds")], folder.path()).is_err());
}

#[test]
fn a_context_that_is_no_json_is_named() {
    let folder = config(&[("field", "{")], Some("field"));
    let (text, _) = describe(&target("", &[], folder.path()).unwrap_err());
    assert!(text.contains("field.json"), "{text}");
}
