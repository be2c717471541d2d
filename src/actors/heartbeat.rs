//! Owns: the heartbeat's rhythm and sequence number, and whether somebody else beats as this device.
//! Hears: its timer, the link's state, `command_server` (`Now`).
//! Tells: the bucket `device-heartbeat`, and the pulse.
//! After a crash: beats at once; the sequence goes on (it counts in the process, not in the actor).
use super::{Clock, Identity, LinkWatch, waiting_text};
use crate::bus::{BucketSpec, Bus, BusError, ErrorKind, LinkState};
use crate::domain::identity::{Others, Sighting};
use crate::domain::source::Operation;
use crate::messages::deployments::{Deployments, Overview, Question};
use crate::messages::heartbeat::{Delivered, Heartbeat as Message};
use crate::supervision::{Address, Context, Fault, Reply, Worker};
use bytes::Bytes;
use fleet_contracts::Timestamp;
use fleet_contracts::codec::Encoding;
use fleet_contracts::device::{AgentHealth, AgentRole, Heartbeat as Document, Pulse, PulseKind};
use fleet_contracts::names::{DEVICE_HEARTBEAT, heartbeat_key, pulse_subject};
use std::collections::BTreeMap;
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
    /// The revision of the last one that arrived, when that is known.
    last: Option<u64>,
    others: Others,
}

impl Worker for Heartbeat {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, ctx: &mut Context<Message>) -> Result<Self, Fault> {
        let link = LinkWatch::new(&*args.bus);
        link.next(None, ctx, Message::Link);
        let others = Others::new(args.identity.instance.clone(), args.every);
        Ok(Self { args, link, failing: false, last: None, others })
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
        let last = self.last;
        ctx.spawn("sending a heartbeat", async move {
            let kind = PulseKind::Heartbeat { heartbeat: Box::new(heartbeat.clone()) };
            let pulse = Pulse { device_id: device.clone(), at: heartbeat.at, kind };
            if let Ok(payload) = Encoding::MessagePack.encode(&pulse) {
                // Lost: the one in the bucket tells the same.
                let _ = bus.publish(&pulse_subject(&device), payload.into()).await;
            }
            Message::Sent(send(&*bus, &heartbeat_key(&device), &heartbeat, last).await)
        });
    }

    fn on_sent(&mut self, result: Result<Delivered, BusError>) {
        self.last = result.as_ref().ok().map(|delivered| delivered.revision);
        match result {
            Ok(delivered) => {
                self.failing = false;
                delivered.other.into_iter().for_each(|other| self.on_other(other));
            }
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::warn!(%error, "heartbeat not sent");
            }
            Err(_) => {}
        }
    }

    /// Both go on running what they run: which of them is the right one, only a person knows.
    fn on_other(&mut self, other: Sighting) {
        let (now, instance) = (self.args.clock.now(), other.instance.clone());
        let was = self.others.are_there(now);
        self.others.saw(other, now);
        if self.others.are_there(now) && !was {
            tracing::error!(instance, "another agent sends heartbeats as this device: two have one identity");
        }
    }

    fn on_now(&self, overview: &Overview, reply: Reply<Document>) {
        reply.send(self.document(Some(overview)));
    }

    /// Without an overview `deployments` is down: that is worth saying, and no reason to be silent.
    fn document(&self, overview: Option<&Overview>) -> Document {
        let mut reasons: Vec<&str> = overview.map_or(vec!["deployments-unavailable"], |o| o.reasons.clone());
        if self.others.are_there(self.args.clock.now()) {
            // First: what such a device says of itself may be said of the other one.
            reasons.insert(0, "duplicate-identity");
        }
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

/// Written over this process's last one, so that the server itself notices somebody else's in between:
/// that costs nothing while there is nobody else.
async fn send(
    bus: &dyn Bus,
    key: &str,
    heartbeat: &Document,
    last: Option<u64>,
) -> Result<Delivered, BusError> {
    let document = Encoding::Json.encode(heartbeat).map_err(|error| BusError {
        operation: "encode",
        object: key.to_owned(),
        kind: ErrorKind::Refused,
        message: error.to_string(),
    })?;
    let document = Bytes::from(document);
    let put = match last {
        Some(last) => bus.put_over(HEARTBEATS.name, key, document.clone(), last).await,
        None => bus.put(HEARTBEATS.name, key, document.clone()).await,
    };
    let other = match put {
        Ok(revision) => return Ok(Delivered { revision, other: None }),
        Err(error) if error.kind == ErrorKind::BucketMissing => {
            bus.create(&HEARTBEATS).await?;
            None
        }
        Err(error) if error.kind == ErrorKind::Overtaken => read(bus, key).await,
        Err(error) => return Err(error),
    };
    let revision = bus.put(HEARTBEATS.name, key, document).await?;
    Ok(Delivered { revision, other })
}

async fn read(bus: &dyn Bus, key: &str) -> Option<Sighting> {
    let snapshot = bus.snapshot(HEARTBEATS.name, key, &BTreeMap::new()).await.ok()?;
    let Operation::Put(value) = &snapshot.entries.first()?.operation else { return None };
    let Document { instance, seq, .. } = Encoding::Json.decode(value).ok()?;
    Some(Sighting { instance, seq })
}

#[cfg(test)]
mod tests;
