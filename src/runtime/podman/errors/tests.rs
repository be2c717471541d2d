//! The sentences are podman's own, recorded from 4.3.1 and 5.8.6.
use super::*;

fn status(operation: Operation, code: u16, message: &str) -> ErrorKind {
    Failure::Status { code, message: message.into() }.during(operation, "it").kind
}

fn stream(message: &str) -> ErrorKind {
    Failure::Stream(message.into()).during(Operation::Pull, "it").kind
}

#[test]
fn a_name_conflict_is_a_500_on_create_and_a_409_on_rename() {
    let create = "container create: creating container storage: the container name \"fleet-web.a\" is already in use \
                  by 71c5a4256ffe. You have to remove that container to be able to reuse that name: that name is already in use";
    assert_eq!(status(Operation::Create, 500, create), ErrorKind::NameInUse);
    let rename = "renaming container 78dc: name fleet-web.a.old already in use, cannot rename container 78dc: container already exists";
    assert_eq!(status(Operation::Rename, 409, rename), ErrorKind::NameInUse);
}

#[test]
fn a_missing_image_is_told_from_a_missing_network_and_a_missing_container() {
    let image = "no such image: localhost/nix:1: image not known";
    assert_eq!(status(Operation::Create, 404, image), ErrorKind::ImageMissing);
    let network = "container create: unable to find network with name or ID nonet: network not found";
    assert_eq!(status(Operation::Create, 500, network), ErrorKind::NotFound);
    let container = "no container with name or ID \"nix\" found: no such container";
    assert_eq!(status(Operation::Start, 404, container), ErrorKind::NotFound);
}

#[test]
fn a_start_that_podman_was_cut_off_in_is_told_from_one_that_is_refused() {
    // After a kill -9 in the middle of a start the OCI runtime has the container, or runs it, and podman
    // knows of neither.
    let has = "runc: runc create failed: container with given ID already exists: OCI runtime error";
    let runs = "`/usr/bin/runc start f202027bb7ad0c284163bbe442b56bca` failed: exit status 1";
    for said in [has, runs] {
        assert_eq!(status(Operation::Start, 500, said), ErrorKind::Unstartable);
    }
    let command = "runc: runc create failed: unable to start container process: exec: \"nix\": \
                   executable file not found in $PATH: OCI runtime attempted to invoke a command that was not found";
    assert_eq!(status(Operation::Start, 500, command), ErrorKind::Refused);
}

#[test]
fn a_port_in_use_is_not_a_name_in_use() {
    let port = "cannot listen on the TCP port: listen tcp4 127.0.0.1:18080: bind: address already in use";
    assert_eq!(status(Operation::Start, 500, port), ErrorKind::PortInUse);
}

#[test]
fn a_full_disk_is_seen_in_every_operation() {
    let text = "writing blob: storing blob to file \"/var/tmp/storage1/1\": write: no space left on device";
    assert_eq!(stream(text), ErrorKind::DiskFull);
    assert_eq!(status(Operation::Create, 500, text), ErrorKind::DiskFull);
}

#[test]
fn a_registry_that_refuses_us_is_told_from_one_that_fails() {
    assert_eq!(
        stream(
            "initializing source docker://r/a:1: reading manifest 1 in r/a: unauthorized: authentication required"
        ),
        ErrorKind::RegistryAuth
    );
    assert_eq!(status(Operation::Pull, 401, "anything"), ErrorKind::RegistryAuth);
    assert_eq!(stream("reading manifest 9 in r/a: manifest unknown: manifest unknown"), ErrorKind::Pull);
    assert_eq!(status(Operation::Pull, 404, "manifest unknown"), ErrorKind::Pull);
    assert_eq!(
        status(Operation::Pull, 500, "dial tcp 127.0.0.1:5000: connect: connection refused"),
        ErrorKind::Pull
    );
}

#[test]
fn anything_else_podman_says_is_a_refusal() {
    assert_eq!(
        status(Operation::Start, 500, "OCI runtime error: exec: \"nix\": not found"),
        ErrorKind::Refused
    );
    assert_eq!(status(Operation::Signal, 500, "invalid signal: SIGNIX"), ErrorKind::Refused);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let error = Failure::Stream(format!("a{}", "ü".repeat(400))).during(Operation::Pull, "it");
    assert_eq!(error.message.len(), MAX_MESSAGE - 1);
}

#[test]
fn a_missing_socket_is_unreachable_and_says_where() {
    let error =
        Failure::from(Bollard::SocketNotFoundError("/nix/podman.sock".into())).during(Operation::Start, "it");
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("/nix/podman.sock"), "{}", error.message);
}

#[test]
fn an_answer_that_repeats_a_secret_is_not_shown() {
    let key = "-----BEGIN KEY-----\nMIIabcdefgh\n-----END KEY-----\n";
    let values = [Hidden::new(b"hunter2\n".as_slice()), Hidden::new(key.as_bytes())];
    let shown = |message: &str| {
        let failure = Failure::Status { code: 500, message: message.into() };
        failure.hiding(&values).during(Operation::Create, "fleet-web.a").to_string()
    };
    for telling in ["bad env PW=hunter2 given", &format!("{key:?}"), "line 2: MIIabcdefgh is wrong"] {
        let message = shown(telling);
        assert!(message.contains("is not shown"), "{telling}: {message}");
        assert!(!message.contains("hunter2") && !message.contains("MIIabc"), "{message}");
    }
    assert!(shown("no space left on device").contains("no space left"));
}
