//! A private nats-server, fleetctl as a process, and a scripted device.
#![allow(dead_code, reason = "not every test file uses everything")]
use async_nats::jetstream::{self, stream};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use fleet_contracts::commands::{ERROR_CODE_HEADER, ERROR_HEADER};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A nats-server of its own, on a port of its own; ends with the test.
pub struct Server {
    child: Child,
    folder: TempDir,
    pub url: String,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("fleetctl-").tempdir().unwrap();
        let child = Command::new("nats-server")
            .args(["-js", "-a", "127.0.0.1", "-p", "-1"])
            .args(["--ports_file_dir".as_ref(), folder.path(), "-sd".as_ref(), folder.path()])
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need nats-server in PATH (Debian: apt-get install nats-server)");
        let ports = folder.path().join(format!("nats-server_{}.ports", child.id()));
        let url = eventually("nats-server's ports file", || {
            let ports: Value = serde_json::from_slice(&std::fs::read(&ports).ok()?).ok()?;
            Some(ports["nats"][0].as_str()?.to_string())
        })
        .await;
        Self { child, folder, url }
    }

    /// fleetctl against this server, with no configuration but that.
    pub fn fleetctl(&self, line: &str) -> Run {
        Run::new(line, Some(&self.url), self.folder.path())
    }

    pub async fn client(&self) -> Client {
        async_nats::connect(&self.url).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One run of fleetctl.
pub struct Run {
    command: Command,
    stdin: Vec<u8>,
}

pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// The line is split at spaces.
    pub fn new(line: &str, url: Option<&str>, home: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetctl"));
        command.args(line.split_whitespace()).env_clear().env("HOME", home);
        if let Some(url) = url {
            command.env("NATS_URL", url);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, stdin: Vec::new() }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub fn spawn(mut self) -> Child {
        let mut child = self.command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&self.stdin).unwrap();
        child
    }

    pub async fn end(self) -> Ended {
        let child = self.spawn();
        let id = child.id();
        let waited = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = tokio::time::timeout(PATIENCE, waited).await;
        let Output { status, stdout, stderr } =
            output.unwrap_or_else(|_| panic!("fleetctl (pid {id}) hangs")).unwrap().unwrap();
        Ended {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Ends well; gives stdout.
    pub async fn ok(self) -> String {
        let ended = self.end().await;
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
        ended.out
    }

    /// Ends with this code; gives stderr.
    pub async fn fails(self, code: i32) -> String {
        let ended = self.end().await;
        assert_eq!(ended.code, code, "{}{}", ended.out, ended.err);
        ended.err
    }
}

pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("no {what}"))
}

/// Bytes from a device that does as it is told by the test.
pub struct Device {
    pub client: Client,
    pub js: jetstream::Context,
    id: String,
}

impl Device {
    pub async fn new(server: &Server, id: &str) -> Self {
        let client = server.client().await;
        let js = jetstream::new(client.clone());
        for bucket in ["device-info", "device-heartbeat", "device-state"] {
            create_bucket(&js, bucket).await;
        }
        Self { client, js, id: id.into() }
    }

    pub async fn put(&self, bucket: &str, key: &str, value: &Value) -> u64 {
        let store = self.js.get_key_value(bucket).await.unwrap();
        store.put(key, value.to_string().into()).await.unwrap()
    }

    pub async fn beat(&self) {
        self.put("device-heartbeat", &format!("heartbeat.{}", self.id), &heartbeat(&self.id)).await;
    }

    /// Reports a state of deployment `web`; fields are replaced by those given.
    pub async fn report(&self, fields: &Value) {
        self.put("device-state", &format!("state.{}.web", self.id), &state(&self.id, fields)).await;
    }

    /// Answers the first document of `web` that appears: `answer` gets its revision and says what to
    /// report, one after the other.
    pub fn answers_with(
        self,
        answer: impl Fn(u64) -> Vec<Value> + Send + 'static,
    ) -> tokio::task::JoinHandle<Self> {
        tokio::spawn(async move {
            let mut documents =
                self.client.subscribe(format!("$KV.desired-state.{}.web", self.id)).await.unwrap();
            settle(&self.client).await;
            self.beat().await;
            documents.next().await.unwrap();
            let revision = self.last_revision().await;
            for state in answer(revision) {
                self.report(&state).await;
            }
            self
        })
    }

    async fn last_revision(&self) -> u64 {
        let look = async {
            loop {
                // The subscription hears the write before the stream has stored it.
                if let Ok(store) = self.js.get_key_value("desired-state").await
                    && let Ok(Some(entry)) = store.entry(format!("{}.web", self.id)).await
                {
                    return entry.revision;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the document is never stored")
    }

    /// Offers a verb; the answer is a body, or an error's code and message. Gives what was asked.
    pub async fn offers(
        &self,
        verb: &str,
        answer: Result<Value, (u16, &str)>,
    ) -> tokio::task::JoinHandle<Bytes> {
        let mut requests = self.client.subscribe(format!("device-command.{}.{verb}", self.id)).await.unwrap();
        settle(&self.client).await;
        let client = self.client.clone();
        let (headers, body) = match answer {
            Ok(body) => (HeaderMap::new(), body),
            Err((code, message)) => {
                let mut headers = HeaderMap::new();
                headers.insert(ERROR_CODE_HEADER, code.to_string());
                headers.insert(ERROR_HEADER, message);
                (headers, json!({"code": code, "message": message}))
            }
        };
        tokio::spawn(async move {
            let request = requests.next().await.unwrap();
            let body = body.to_string().into();
            client.publish_with_headers(request.reply.unwrap(), headers, body).await.unwrap();
            client.flush().await.unwrap();
            request.payload
        })
    }
}

pub async fn create_bucket(js: &jetstream::Context, bucket: &str) {
    let config = stream::Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        max_messages_per_subject: 1,
        allow_direct: true,
        num_replicas: 1,
        ..stream::Config::default()
    };
    js.create_stream(config).await.unwrap();
}

pub fn heartbeat(id: &str) -> Value {
    json!({"device_id": id, "at": "2026-01-01T00:00:00Z", "seq": 1, "agent_version": "0.1.0", "instance": "i",
        "role": "active", "uptime_s": 10, "deployments": {"total": 1, "running": 1, "failed": 0}, "health": "ok",
        "reasons": [], "last_crash": null, "clock_synced": true})
}

pub fn state(id: &str, fields: &Value) -> Value {
    let mut state = json!({"device_id": id, "deployment": "web", "phase": "Pending",
        "last_event_at": "2026-01-01T00:00:00Z", "last_error": null, "container_ids": {}, "observed_revision": null,
        "spec_digest": null, "warnings": [], "services": {}});
    state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    state
}

/// Waits until the server has taken the subscriptions of this connection: a flush only empties the
/// socket, but what comes back was sent after them.
pub async fn settle(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, Bytes::new()).await.unwrap();
    echo.next().await.unwrap();
}
