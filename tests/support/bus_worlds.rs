//! The worlds that the promises are held in: memory, and two nats-servers.
use crate::bus_promises::{Answer, BUCKET, World};
use crate::nats_world::{NatsServer, Version};
use bytes::Bytes;
use fleet_agent::bus::Bus;
use fleet_agent::bus::fake::FakeBus;
use fleet_agent::bus::nats::{NatsBus, NatsSettings};
use fleet_agent::credentials::CredentialSettings;
use fleet_contracts::commands::{ERROR_CODE_HEADER, ERROR_HEADER, Verb};
use futures_util::StreamExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct Fake {
    bus: FakeBus,
    subject: &'static str,
}

impl World for Fake {
    async fn new() -> Self {
        let bus = FakeBus::new();
        bus.connect();
        Self { bus, subject: "" }
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.bus.clone())
    }

    async fn down(&mut self) {
        self.bus.disconnect();
    }

    async fn up(&mut self) {
        self.bus.connect();
    }

    async fn delete_bucket(&mut self) {
        self.bus.wipe(BUCKET.name);
    }

    async fn recreate_bucket(&mut self) {
        self.bus.recreate(BUCKET.name);
    }

    async fn listen(&mut self, subject: &'static str) {
        self.subject = subject;
    }

    fn heard(&self) -> Vec<Bytes> {
        self.bus.published(self.subject)
    }

    async fn request(&mut self, verb: Verb, payload: &'static str) -> Option<Answer> {
        let reply = self.bus.request(verb, payload).await?;
        Some((reply.body, reply.error))
    }
}

/// A server and its bus. The bus is made when it is first asked for, so that a test can have the
/// server down before.
pub struct Real {
    pub server: NatsServer,
    bus: Mutex<Option<Arc<NatsBus>>>,
    /// Of the test itself. Made when needed, because it wants a server that is up.
    heard: Arc<Mutex<Vec<Bytes>>>,
}

impl Real {
    pub async fn start(version: Version) -> Self {
        Self { server: NatsServer::start(version).await, bus: Mutex::default(), heard: Arc::default() }
    }

    pub fn settings(&self) -> NatsSettings {
        settings(&self.server)
    }

    /// Blocks on nothing: the bus connects by itself.
    fn bus(&self) -> Arc<NatsBus> {
        let mut bus = self.bus.lock().unwrap();
        bus.get_or_insert_with(|| {
            let starting = NatsBus::new(self.settings(), CredentialSettings::None.build());
            Arc::new(
                futures_util::FutureExt::now_or_never(starting).expect("starts without waiting").unwrap(),
            )
        })
        .clone()
    }

    pub async fn jetstream(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(self.server.client().await)
    }

    async fn delete_bucket(&self) {
        self.jetstream().await.delete_stream(format!("KV_{}", BUCKET.name)).await.unwrap();
    }

    /// As an operator would, with the subjects and settings of a bucket.
    async fn make_bucket(&self) {
        let config = async_nats::jetstream::stream::Config {
            name: format!("KV_{}", BUCKET.name),
            subjects: vec![format!("$KV.{}.>", BUCKET.name)],
            max_messages_per_subject: 1,
            ..Default::default()
        };
        self.jetstream().await.create_stream(config).await.unwrap();
    }

    async fn listen(&self, subject: &'static str) {
        let client = self.server.client().await;
        let mut messages = client.subscribe(subject).await.unwrap();
        // A flush only empties the socket. What comes back from the server on the same connection was
        // sent after it had taken the subscription.
        let inbox = client.new_inbox();
        let mut echo = client.subscribe(inbox.clone()).await.unwrap();
        client.publish(inbox, Bytes::new()).await.unwrap();
        echo.next().await.unwrap();
        let heard = self.heard.clone();
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                heard.lock().unwrap().push(message.payload);
            }
        });
    }

    async fn request(&self, verb: Verb, payload: &'static str) -> Option<Answer> {
        let client = self.server.client().await;
        let asking = client.request(format!("device-command.d1.{}", verb.as_str()), payload.into());
        let reply = tokio::time::timeout(Duration::from_secs(2), asking).await.ok()?.ok()?;
        let header = |name| reply.headers.as_ref()?.get(name).map(|v| v.to_string());
        let code = header(ERROR_CODE_HEADER).map(|code| code.parse().unwrap());
        Some((reply.payload.clone(), code.map(|code| (code, header(ERROR_HEADER).unwrap()))))
    }
}

pub fn settings(server: &NatsServer) -> NatsSettings {
    NatsSettings {
        urls: vec![server.url()],
        inbox_prefix: Some("_INBOX_d1".into()),
        device: "d1".parse().unwrap(),
        tls_ca: None,
        tls_cert: None,
        tls_key: None,
    }
}

/// A world on a real server.
pub trait RealWorld: World {
    const VERSION: Version;
    fn real(&mut self) -> &mut Real;
}

macro_rules! real_world {
    ($(#[$doc:meta])* $name:ident, $version:expr) => {
        $(#[$doc])*
        pub struct $name(Real);

        impl RealWorld for $name {
            const VERSION: Version = $version;
            fn real(&mut self) -> &mut Real {
                &mut self.0
            }
        }

        impl World for $name {
            async fn new() -> Self {
                Self(Real::start($version).await)
            }
            fn bus(&self) -> Arc<dyn Bus> {
                self.0.bus()
            }
            async fn down(&mut self) {
                self.0.server.down().await;
            }
            async fn up(&mut self) {
                self.0.server.up().await;
            }
            async fn delete_bucket(&mut self) {
                self.0.delete_bucket().await;
            }
            async fn recreate_bucket(&mut self) {
                self.0.delete_bucket().await;
                self.0.make_bucket().await;
            }
            async fn listen(&mut self, subject: &'static str) {
                self.0.listen(subject).await;
            }
            fn heard(&self) -> Vec<Bytes> {
                self.0.heard.lock().unwrap().clone()
            }
            async fn request(&mut self, verb: Verb, payload: &'static str) -> Option<Answer> {
                self.0.request(verb, payload).await
            }
        }
    };
}

real_world! {
    /// The nats-server of the distribution.
    Installed, Version::Installed
}
real_world! {
    /// A current nats-server.
    Current, Version::Current
}
