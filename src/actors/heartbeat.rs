//! Owns: the heartbeat's rhythm and sequence number.
//! Hears: its timer, the link's state, `command_server` (`Now`).
//! Tells: the bucket `device-heartbeat`, and the pulse.
//! After a crash: beats at once; the sequence goes on (it counts in the process, not in the actor).
use super::{Clock, Identity, LinkWatch, waiting_text};
use crate::bus::{BucketSpec, Bus, BusError, ErrorKind, LinkState};
use crate::messages::deployments::{Deployments, Overview, Question};
use crate::messages::heartbeat::Heartbeat as Message;
use crate::supervision::{Address, Context, Fault, Reply, Worker};
use bytes::Bytes;
use fleet_contracts::Timestamp;
use fleet_contracts::codec::Encoding;
use fleet_contracts::device::{AgentHealth, AgentRole, Heartbeat as Document, Pulse, PulseKind};
use fleet_contracts::names::{DEVICE_HEARTBEAT, heartbeat_key, pulse_subject};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// `deployments` answers from memory; longer means that it is down or stuck.
const ASK_WITHIN: Duration = Duration::from_secs(2);

pub const HEARTBEATS: BucketSpec = BucketSpec { name: DEVICE_HEARTBEAT, history: 1, allow_rollup: false };

#[derive(Clone)]
pub struct Args {
    pub identity: Identity,
    pub bus: Arc<dyn Bus>,
    pub deployments: Address<Deployments>,
    pub every: Duration,
    pub clock: Clock,
    /// Whether the wall clock was set since boot.
    pub clock_synced: fn() -> bool,
    /// Why the process before this one ended itself; shortened where it has to be.
    pub last_crash: Option<String>,
    /// The last number given out in this process.
    pub sequence: Arc<AtomicU64>,
}

pub struct Heartbeat {
    args: Args,
    link: LinkWatch,
    failing: bool,
}

impl Worker for Heartbeat {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, ctx: &mut Context<Message>) -> Result<Self, Fault> {
        let link = LinkWatch::new(&*args.bus);
        link.next(None, ctx, Message::Link);
        Ok(Self { args, link, failing: false })
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        match msg {
            Message::Due => self.on_due(ctx),
            Message::Link(state) => self.on_link(&state, ctx),
            Message::Asked(overview) => self.on_asked(overview, ctx),
            Message::Sent(result) => self.on_sent(result),
            Message::Now(overview, reply) => self.on_now(&overview, reply),
        }
        Ok(())
    }
}

impl Heartbeat {
    /// A device that came back is seen at once.
    fn on_link(&mut self, state: &LinkState, ctx: &mut Context<Message>) {
        self.link.next(Some(state), ctx, Message::Link);
        ctx.waiting_for(waiting_text(state));
        if self.link.is_up() {
            self.on_due(ctx);
        } else {
            ctx.cancel_timer("due");
        }
    }

    fn on_due(&mut self, ctx: &mut Context<Message>) {
        ctx.after("due", self.args.every, Message::Due);
        let deployments = self.args.deployments.clone();
        ctx.background(async move {
            let overview =
                deployments.ask(|reply| Deployments::Ask(Question::Overview(reply)), ASK_WITHIN).await;
            Message::Asked(overview.ok())
        });
    }

    fn on_asked(&mut self, overview: Option<Overview>, ctx: &mut Context<Message>) {
        self.args.sequence.fetch_add(1, Ordering::Relaxed);
        let heartbeat = self.document(overview.as_ref());
        let (bus, device) = (self.args.bus.clone(), self.args.identity.device.clone());
        ctx.spawn("sending a heartbeat", async move {
            let kind = PulseKind::Heartbeat { heartbeat: Box::new(heartbeat.clone()) };
            let pulse = Pulse { device_id: device.clone(), at: heartbeat.at, kind };
            if let Ok(payload) = Encoding::MessagePack.encode(&pulse) {
                // Lost: the one in the bucket tells the same.
                let _ = bus.publish(&pulse_subject(&device), payload.into()).await;
            }
            Message::Sent(send(&*bus, &heartbeat_key(&device), &heartbeat).await)
        });
    }

    fn on_sent(&mut self, result: Result<(), BusError>) {
        match result {
            Ok(()) => self.failing = false,
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::warn!(%error, "heartbeat not sent");
            }
            Err(_) => {}
        }
    }

    fn on_now(&self, overview: &Overview, reply: Reply<Document>) {
        reply.send(self.document(Some(overview)));
    }

    /// Without an overview `deployments` is down: that is worth saying, and no reason to be silent.
    fn document(&self, overview: Option<&Overview>) -> Document {
        let reasons: Vec<&str> = overview.map_or(vec!["deployments-unavailable"], |o| o.reasons.clone());
        let Identity { device, agent_version, instance } = self.args.identity.clone();
        Document {
            device_id: device,
            at: Timestamp::now(),
            seq: self.args.sequence.load(Ordering::Relaxed).max(1),
            agent_version,
            instance,
            role: AgentRole::Active,
            uptime_s: self.args.clock.uptime().as_secs(),
            deployments: overview.map(|overview| overview.counts).unwrap_or_default(),
            health: if reasons.is_empty() { AgentHealth::Ok } else { AgentHealth::Degraded },
            reasons: reasons.into_iter().map(str::to_owned).collect(),
            last_crash: self.args.last_crash.clone(),
            clock_synced: (self.args.clock_synced)(),
        }
        .bounded()
    }
}

async fn send(bus: &dyn Bus, key: &str, heartbeat: &Document) -> Result<(), BusError> {
    let document = Encoding::Json.encode(heartbeat).map_err(|error| BusError {
        operation: "encode",
        object: key.to_owned(),
        kind: ErrorKind::Refused,
        message: error.to_string(),
    })?;
    let document = Bytes::from(document);
    match bus.put(HEARTBEATS.name, key, document.clone()).await {
        Err(error) if error.kind == ErrorKind::BucketMissing => {
            bus.create(&HEARTBEATS).await?;
            bus.put(HEARTBEATS.name, key, document).await.map(|_| ())
        }
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests;
