//! Owns: the answer to «may this process act?».
//! Hears: its own timer.
//! Tells: nobody; `effects` and `deployments` read the view.
//! After a crash: checks again. The lock itself belongs to `main`: no actor's death releases it.
use crate::messages::ownership::Ownership as Message;
use crate::store::{OwnershipView, StateOwner};
use crate::supervision::{Context, Fault, Worker};
use std::sync::Arc;
use std::time::Duration;

/// A state directory that was deleted or mounted over is noticed within this time.
const CHECK_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Args {
    pub owner: Arc<dyn StateOwner>,
    pub view: OwnershipView,
}

pub struct Ownership {
    args: Args,
}

impl Worker for Ownership {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, ctx: &mut Context<Message>) -> Result<Self, Fault> {
        ctx.after("check", CHECK_EVERY, Message::CheckDue);
        Ok(Self { args })
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        match msg {
            Message::CheckDue => self.on_check_due(ctx),
            Message::Checked(ours) => self.on_checked(ours, ctx),
        }
        Ok(())
    }
}

impl Ownership {
    fn on_check_due(&mut self, ctx: &mut Context<Message>) {
        let owner = self.args.owner.clone();
        ctx.spawn_blocking("checking the state directory's lock", move || {
            Message::Checked(owner.still_ours())
        });
    }

    fn on_checked(&mut self, ours: bool, ctx: &mut Context<Message>) {
        if self.args.view.set(ours) {
            if ours {
                tracing::info!("owns the state directory again");
            } else {
                tracing::error!(
                    "the state directory's lock is no longer ours: nothing is changed until it is"
                );
            }
        }
        ctx.waiting_for((!ours).then(|| "ownership of the state directory".to_owned()));
        ctx.after("check", CHECK_EVERY, Message::CheckDue);
    }
}
