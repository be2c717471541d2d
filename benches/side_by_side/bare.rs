//! The same operations without an agent: raw HTTP on one connection to podman that is kept alive.
use crate::podman_world::DEMO_IMAGE;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::Path;
use tokio::net::UnixStream;

pub struct Bare(SendRequest<Full<Bytes>>);

impl Bare {
    pub async fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn send(&mut self, method: Method, path: &str, body: Vec<u8>) -> Response<Incoming> {
        let request = Request::builder().method(method).uri(path).header("host", "podman");
        let request = request.header("content-type", "application/json").body(Full::from(body)).unwrap();
        self.0.ready().await.unwrap();
        self.0.send_request(request).await.unwrap()
    }

    async fn call(&mut self, method: Method, path: &str, body: &Value) -> Value {
        let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        let answer = self.send(method, path, bytes).await;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    }

    /// Network, create, start: what the agent asks for, in the same words. Answers the container's id.
    pub async fn run(&mut self, name: &str, script: &str, told: &Path) -> String {
        let network = format!("fleet-{name}");
        let body = json!({"Name": network, "Driver": "bridge", "Labels": labels(name)});
        self.call(Method::POST, "/networks/create", &body).await;
        let id = self.create(name, &format!("fleet-{name}.a"), script, told).await;
        self.start(&id).await;
        id
    }

    /// A container in the network of this name.
    pub async fn create(&mut self, name: &str, container: &str, script: &str, told: &Path) -> String {
        let network = format!("fleet-{name}");
        let body = json!({"Image": DEMO_IMAGE, "Cmd": ["sh", "-c", script], "Env": [format!("NAME={name}")],
            "Labels": labels(name), "StopSignal": "SIGTERM", "StopTimeout": 30,
            "HostConfig": {"NetworkMode": network, "Binds": [format!("{}:/told", told.display())],
                "RestartPolicy": {"Name": "no"}},
            "NetworkingConfig": {"EndpointsConfig": {&network: {"Aliases": ["a"]}}}});
        let path = format!("/containers/create?name={container}");
        self.call(Method::POST, &path, &body).await["Id"].as_str().unwrap().to_owned()
    }

    /// By its signal, within its grace, as podman does it.
    pub async fn stop(&mut self, id: &str) {
        self.call(Method::POST, &format!("/containers/{id}/stop"), &Value::Null).await;
    }

    pub async fn start(&mut self, id: &str) {
        self.call(Method::POST, &format!("/containers/{id}/start"), &Value::Null).await;
    }

    /// Podman's word of a container's death: the stream of its events from now on.
    pub async fn deaths(mut self) -> Deaths {
        let path = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";
        let answer = self.send(Method::GET, path, Vec::new()).await;
        Deaths { body: answer.into_body(), text: String::new() }
    }
}

fn labels(name: &str) -> Value {
    json!({"io.fleet.device": "bare", "io.fleet.deployment": name, "io.fleet.service": "a",
        "io.fleet.spec-digest": "0".repeat(64), "io.fleet.revision": "1"})
}

pub struct Deaths {
    body: Incoming,
    text: String,
}

impl Deaths {
    pub async fn of(&mut self, id: &str) {
        loop {
            let died =
                |line: &str| line.contains(id) && (line.contains("\"die\"") || line.contains("\"died\""));
            if self.text.lines().any(died) {
                self.text.clear();
                return;
            }
            let frame = self.body.frame().await.expect("the stream goes on").unwrap();
            self.text.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
    }
}
