//! One actor: owns state and time, moves messages.
use super::address::{Address, Envelope, Link};
use super::context::Context;
use super::failure::{Failure, Fault};
use super::node::Node;
use crate::faults;
use futures_util::future::BoxFuture;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::marker::PhantomData;
use std::sync::Arc;

/// One actor. `handle` is synchronous by type: no handler can wait for network, disk or podman. Outside
/// work runs in a task ([`Context::spawn`]) that reports back with a message.
pub trait Worker: Sized + Send + 'static {
    type Msg: Send + 'static;
    type Args: Clone + Send + Sync + 'static;

    /// Must be short: the next sibling waits for it. A fault or a panic here counts as a crash.
    fn start(args: Self::Args, ctx: &mut Context<Self::Msg>) -> Result<Self, Fault>;

    fn handle(&mut self, msg: Self::Msg, ctx: &mut Context<Self::Msg>) -> Result<(), Fault>;

    /// A word for this message, shown when handling it takes too long.
    fn kind(_msg: &Self::Msg) -> &'static str {
        let name = std::any::type_name::<Self::Msg>();
        name.rsplit("::").next().unwrap_or(name)
    }

    /// Last work of an ordered stop, such as a flush; it is killed when the child's stop budget is used up.
    /// No message is handled any more, tasks still run until it is done.
    fn stop(&mut self, _ctx: &mut Context<Self::Msg>) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// The ractor actor around a [`Worker`].
pub(super) struct Runner<W>(PhantomData<fn() -> W>);

impl<W> Runner<W> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

pub(super) struct Seat<W: Worker> {
    pub args: W::Args,
    pub address: Address<W::Msg>,
    pub node: Arc<Node>,
}

pub(super) struct Incarnation<W: Worker> {
    worker: W,
    ctx: Context<W::Msg>,
    node: Arc<Node>,
}

impl<W: Worker> Actor for Runner<W> {
    type Msg = Envelope<W::Msg>;
    /// Taken out while it is used: a crash then drops it, and with it its tasks, before the supervisor hears
    /// of the crash and starts the next one.
    type State = Option<Box<Incarnation<W>>>;
    type Arguments = Seat<W>;

    async fn pre_start(
        &self,
        me: ActorRef<Self::Msg>,
        seat: Seat<W>,
    ) -> Result<Self::State, ActorProcessingErr> {
        seat.address.vacant().await;
        let node = seat.node;
        let link = Link::new(me, node.begin());
        seat.address.connect(link.clone());
        let mut ctx = Context::new(seat.address, link);
        let _turn = ctx.begin("its start");
        faults::point("start", &node.path);
        let worker = W::start(seat.args, &mut ctx).map_err(Failure::from)?;
        Ok(Some(Box::new(Incarnation { worker, ctx, node })))
    }

    async fn handle(
        &self,
        _me: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(mut incarnation) = state.take() else { return Ok(()) };
        let turn = incarnation.ctx.begin(envelope.message().map_or("a failure", W::kind));
        let result = incarnation.on(envelope);
        *state = result.is_ok().then_some(incarnation);
        // Not before: to drop what crashed belongs to its turn.
        drop(turn);
        Ok(result?)
    }

    async fn post_stop(
        &self,
        _me: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(mut incarnation) = state.take() else { return Ok(()) };
        let turn = incarnation.ctx.begin("its stop");
        let last_work = incarnation.worker.stop(&mut incarnation.ctx);
        drop(turn);
        if let Some(last_work) = last_work {
            last_work.await;
        }
        Ok(())
    }
}

impl<W: Worker> Incarnation<W> {
    fn on(&mut self, envelope: Envelope<W::Msg>) -> Result<(), Failure> {
        if let Some(message) = self.ctx.open(envelope)? {
            faults::point("actor", &self.node.path);
            self.worker.handle(message, &mut self.ctx)?;
            self.ctx.progressed();
        }
        Ok(())
    }
}
