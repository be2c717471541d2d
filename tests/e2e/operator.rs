//! Somebody with a NATS client: puts and deletes desired state, reads states, asks commands.
use crate::patience::patiently;
use async_nats::jetstream::{self, kv};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

/// Longer than the agent's own limit for an answer.
const ANSWER: Duration = Duration::from_secs(15);

pub struct Operator {
    pub client: Client,
    pub js: jetstream::Context,
    device: String,
}

/// What a command answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// 200, or what the header says.
    pub code: u16,
    pub body: Value,
    pub message: Option<String>,
}

impl Operator {
    pub fn new(client: Client, device: &str) -> Self {
        let js = jetstream::new(client.clone());
        Self { client, js, device: device.to_owned() }
    }

    /// Its revision is the answer.
    pub async fn put(&self, deployment: &str, document: impl Into<Bytes>) -> Result<u64, String> {
        let publishing = self.js.publish(self.desired(deployment), document.into()).await;
        let acknowledged = publishing.map_err(|error| error.to_string())?.await;
        acknowledged.map(|ack| ack.sequence).map_err(|error| error.to_string())
    }

    /// A delete marker, as `nats kv del` leaves it.
    pub async fn delete(&self, deployment: &str) {
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "DEL");
        let publishing = self.js.publish_with_headers(self.desired(deployment), headers, Bytes::new());
        publishing.await.unwrap().await.unwrap();
    }

    /// The key is gone without a marker, as if it had never been there.
    pub async fn forget(&self, deployment: &str) {
        let stream = self.js.get_stream("KV_desired-state").await.unwrap();
        stream.purge().filter(self.desired(deployment)).await.unwrap();
    }

    /// What `nats kv purge` leaves (`rollup` is `sub`), or what a slip of the hand leaves (`all`).
    pub async fn purge(&self, deployment: &str, rollup: &str) {
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "PURGE");
        headers.insert("Nats-Rollup", rollup);
        let publishing = self.js.publish_with_headers(self.desired(deployment), headers, Bytes::new());
        publishing.await.unwrap().await.unwrap();
    }

    /// The bucket of desired state, as `nats kv add` makes it.
    pub async fn make_source(&self) {
        let config = jetstream::stream::Config {
            name: "KV_desired-state".into(),
            subjects: vec!["$KV.desired-state.>".into()],
            max_messages_per_subject: 8,
            allow_rollup: true,
            deny_delete: true,
            ..Default::default()
        };
        self.js.create_stream(config).await.unwrap();
    }

    /// Names of the consumers of a bucket.
    pub async fn consumers(&self, bucket: &str) -> Result<Vec<String>, String> {
        let subject = format!("$JS.API.CONSUMER.NAMES.KV_{bucket}");
        let answer = self.client.request(subject, Bytes::new()).await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        let names = answer["consumers"].as_array().cloned().unwrap_or_default();
        Ok(names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
    }

    fn desired(&self, deployment: &str) -> String {
        format!("$KV.desired-state.{}.{deployment}", self.device)
    }

    async fn bucket(&self, bucket: &str) -> Result<kv::Store, String> {
        self.js.get_key_value(bucket).await.map_err(|error| error.to_string())
    }

    /// The last value of a key: None when there is none, or it was deleted.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Option<Value>, String> {
        let value = self.bucket(bucket).await?.get(key).await.map_err(|error| error.to_string())?;
        Ok(value.map(|json| serde_json::from_slice(&json).unwrap()))
    }

    /// The last value of a key, and its revision.
    pub async fn entry(&self, bucket: &str, key: &str) -> (Bytes, u64) {
        let entry = self.bucket(bucket).await.unwrap().entry(key).await.unwrap().unwrap();
        (entry.value, entry.revision)
    }

    /// A command without arguments, asked until the agent is there to answer it.
    pub async fn ask_when_up(&self, verb: &str) -> Reply {
        let asked = patiently(async || self.ask_raw(verb, "{}").await).await;
        let (code, message, body) = asked.unwrap_or_else(|error| panic!("{verb}: {error}"));
        Reply { code, message, body: serde_json::from_slice(&body).unwrap() }
    }

    /// One command in JSON.
    pub async fn ask(&self, verb: &str, request: Value) -> Reply {
        let (code, message, body) = self.ask_raw(verb, serde_json::to_vec(&request).unwrap()).await.unwrap();
        Reply { code, message, body: serde_json::from_slice(&body).unwrap() }
    }

    /// One command in MessagePack.
    pub async fn ask_packed(&self, verb: &str, request: Value) -> Reply {
        let packed = rmp_serde::to_vec_named(&request).unwrap();
        let (code, message, body) = self.ask_raw(verb, packed).await.unwrap();
        assert!(matches!(body.first(), Some(0x80..=0x8f | 0xde | 0xdf)), "not MessagePack: {body:?}");
        Reply { code, message, body: rmp_serde::from_slice(&body).unwrap() }
    }

    /// One command with these bytes.
    pub async fn ask_raw(
        &self,
        verb: &str,
        request: impl Into<Bytes>,
    ) -> Result<(u16, Option<String>, Bytes), String> {
        let subject = format!("device-command.{}.{verb}", self.device);
        let request = async_nats::Request::new().payload(request.into()).timeout(Some(ANSWER));
        let reply = self.client.send_request(subject, request).await.map_err(|error| error.to_string())?;
        let header = |name: &str| Some(reply.headers.as_ref()?.get(name)?.to_string());
        let code = header("Nats-Service-Error-Code").map_or(200, |code| code.parse().unwrap());
        Ok((code, header("Nats-Service-Error"), reply.payload))
    }
}
