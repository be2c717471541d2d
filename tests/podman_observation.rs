//! How often podman is asked, and what its rarer answers do: on a stand-in that answers as recorded.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
use fleet_agent::domain::container::Status;
use fleet_agent::runtime::podman::PodmanRuntime;
use fleet_agent::runtime::{ContainerRuntime, ErrorKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Answers GETs from a table; everything else is 404.
struct StandIn {
    dir: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Path without its query → status and body.
type Answers = BTreeMap<String, (u16, Value)>;

impl StandIn {
    fn answering(answers: Answers) -> Self {
        let stand_in = Self { dir: tempfile::tempdir().expect("writable"), asked: Arc::default() };
        let listener = UnixListener::bind(stand_in.socket()).expect("fresh");
        let (asked, answers) = (stand_in.asked.clone(), Arc::new(answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, asked.clone(), answers.clone()));
            }
        });
        stand_in
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn runtime(&self) -> PodmanRuntime {
        PodmanRuntime::new("d1".parse().expect("valid"), self.socket())
    }

    /// The paths asked for since the last question.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("no panic"))
    }
}

async fn serve(mut stream: UnixStream, asked: Arc<Mutex<Vec<String>>>, answers: Arc<Answers>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.expect("a whole request"));
    }
    let request = String::from_utf8(request).expect("text");
    let path = request.split([' ', '?']).nth(1).expect("a path").to_owned();
    let missing = (404, json!({ "message": "no such container" }));
    let (code, body) = answers.get(&path).unwrap_or(&missing);
    asked.lock().expect("no panic").push(path);
    let body = body.to_string();
    let answer =
        format!("HTTP/1.1 {code} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.expect("still there");
}

fn row(id: &str, state: &str, status: &str) -> Value {
    let labels = json!({ "io.fleet.device": "d1", "io.fleet.deployment": "web", "io.fleet.service": id });
    json!({ "Id": id, "Names": [format!("/fleet-web.{id}")], "State": state, "Status": status, "Labels": labels })
}

fn inspected(id: &str, state: Value) -> (String, (u16, Value)) {
    (
        format!("/containers/{id}/json"),
        (200, json!({ "Id": id, "Name": format!("/fleet-web.{id}"), "State": state })),
    )
}

fn listed(rows: &[Value]) -> (String, (u16, Value)) {
    ("/containers/json".into(), (200, json!(rows)))
}

/// A live process that is surely there.
fn me() -> u32 {
    std::process::id()
}

#[tokio::test]
async fn what_has_not_changed_is_one_request_per_list() {
    let podman = StandIn::answering(Answers::from([
        listed(&[
            row("a", "running", "Up 2 minutes"),
            row("b", "exited", "Exited (4) 1 minute ago"),
            row("c", "created", "Created"),
        ]),
        inspected("a", json!({ "Status": "running", "Running": true, "Pid": me() })),
        inspected("b", json!({ "Status": "exited", "ExitCode": 4 })),
    ]));
    let runtime = podman.runtime();
    let first = runtime.list().await.expect("listed");
    assert_eq!(podman.asked().len(), 3, "a list, and an inspect of each that has more to tell");
    let mut second = runtime.list().await.expect("listed");
    assert_eq!(podman.asked(), ["/containers/json"]);
    second.sort_by(|a, b| a.name.cmp(&b.name));
    let mut sorted = first;
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(second, sorted);
    assert_eq!(second[1].status, Status::Exited { code: 4 });
}

#[tokio::test]
async fn one_container_that_cannot_be_inspected_hides_no_other() {
    let broken = json!({ "message": "input/output error" });
    let podman = StandIn::answering(Answers::from([
        listed(&[row("a", "running", "Up 2 minutes"), row("b", "exited", "Exited (4) 1 minute ago")]),
        ("/containers/a/json".into(), (500, broken)),
        inspected("b", json!({ "Status": "exited", "ExitCode": 4 })),
    ]));
    let runtime = podman.runtime();
    let list = runtime.list().await.expect("listed");
    let status =
        |id: &str| list.iter().find(|container| container.service.as_str() == id).map(|found| found.status);
    assert_eq!(status("a"), Some(Status::Busy), "left alone");
    assert_eq!(status("b"), Some(Status::Exited { code: 4 }));
    let look = runtime.look(&"web".parse().expect("valid")).await;
    assert_eq!(look.expect_err("its own deployment hears of it").kind, ErrorKind::Refused);
}

#[tokio::test]
async fn a_container_removed_by_half_hides_no_other_and_can_only_be_removed() {
    // Recorded from 4.3.1 after a kill -9 of podman during a remove: one such container, and neither
    // the list nor its inspect is answered; podman's own list still is.
    let said = json!({ "message": "getting container from store \"a\": container not known" });
    let podman = |state: &str| {
        StandIn::answering(Answers::from([
            ("/containers/json".into(), (500, said.clone())),
            ("/containers/a/json".into(), (500, said.clone())),
            (
                "/v4.0.0/libpod/containers/json".into(),
                (200, json!([row("a", state, ""), row("b", "exited", "")])),
            ),
            inspected("b", json!({ "Status": "exited", "ExitCode": 4 })),
        ]))
    };
    for (state, expected) in [("exited", Status::Lying), ("running", Status::Busy)] {
        let list = podman(state).runtime().list().await.expect("listed");
        let statuses: Vec<_> = list.iter().map(|container| container.status).collect();
        assert_eq!(statuses, [expected, Status::Exited { code: 4 }], "{state}");
    }
}

#[tokio::test]
async fn states_that_no_model_knows_do_not_blind_a_list() {
    let podman = StandIn::answering(Answers::from([
        listed(&[row("a", "stopped", "Exited (3) 1 second ago"), row("b", "levitating", "")]),
        inspected("a", json!({ "Status": "stopped", "ExitCode": 3 })),
        inspected("b", json!({ "Status": "levitating", "Health": { "Status": "meh" } })),
    ]));
    let list = podman.runtime().list().await.expect("listed");
    let statuses: Vec<_> = list.iter().map(|container| container.status).collect();
    assert_eq!(statuses, [Status::Exited { code: 3 }, Status::Busy]);
}

#[tokio::test]
async fn a_container_counts_as_exited_only_after_its_cleanup_or_when_none_comes() {
    let podman = StandIn::answering(Answers::from([
        listed(&[row("a", "stopped", "Exited (3) 1 second ago")]),
        inspected("a", json!({ "Status": "stopped", "ExitCode": 3 })),
    ]));
    assert_eq!(podman.runtime().list().await.expect("listed")[0].status, Status::Exited { code: 3 });
    assert!(podman.asked().len() > 10, "podman got its time to take the network down");
}

#[tokio::test]
async fn a_look_shows_what_has_just_ended_without_waiting_for_its_cleanup() {
    let podman = StandIn::answering(Answers::from([
        listed(&[row("a", "stopped", "Exited (3) 1 second ago")]),
        inspected("a", json!({ "Status": "stopped", "ExitCode": 3 })),
    ]));
    let look = podman.runtime().look(&"web".parse().expect("valid")).await;
    assert_eq!(look.expect("looked")[0].status, Status::Ended { code: 3 });
    assert_eq!(podman.asked().len(), 2, "one list and one inspect");
}

#[tokio::test]
async fn a_container_that_goes_between_list_and_inspect_is_not_there() {
    let podman = StandIn::answering(Answers::from([listed(&[row("a", "running", "Up 1 second")])]));
    assert_eq!(podman.runtime().list().await, Ok(vec![]));
}

#[tokio::test]
async fn a_container_that_loses_its_process_is_asked_again_before_it_counts_as_a_lie() {
    let podman = StandIn::answering(Answers::from([
        listed(&[row("a", "running", "Up 2 minutes")]),
        inspected("a", json!({ "Status": "running", "Running": true, "Pid": 0 })),
    ]));
    let runtime = podman.runtime();
    assert_eq!(runtime.list().await.expect("listed")[0].status, Status::Lying);
    assert!(podman.asked().len() > 10, "podman got its time to hear of the death");
    assert_eq!(runtime.list().await.expect("listed")[0].status, Status::Lying);
    assert_eq!(podman.asked().len(), 2, "a known liar is asked once");
}

#[tokio::test]
async fn a_service_that_closes_without_an_answer_is_unreachable() {
    let dir = tempfile::tempdir().expect("writable");
    let socket: &Path = &dir.path().join("s");
    let listener = UnixListener::bind(socket).expect("fresh");
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let runtime = PodmanRuntime::new("d1".parse().expect("valid"), socket.into());
    assert_eq!(runtime.list().await.expect_err("no answer").kind, ErrorKind::Unreachable);
}
