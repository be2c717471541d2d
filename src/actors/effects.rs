//! Owns: the operations in flight, one per lane.
//! Hears: reconcilers (`Perform`, `Cancel`, `Attach`) and its own tasks (`Ended`).
//! Tells: the reconciler of the deployment how each operation ended.
//! After a crash: nothing is in flight any more; reconcilers hear that no lane is busy and look first.
use super::Clock;
use crate::domain::floor::Floor;
use crate::domain::images::Removal;
use crate::domain::plan::Cause;
use crate::faults;
use crate::messages::effects::{Asked, Effects as Message, Failure, Job, Lane, Operation, Outcome, Removed};
use crate::messages::reconcilers::Reconciler;
use crate::questions::{self, About};
use crate::runtime::ContainerRuntime;
use crate::store::{Epoch, OwnershipView};
use crate::supervision::{Context, Fault, Keyed, Reply, TaskId, Worker, caught};
use crate::telemetry::blame;
use crate::vault::Vault;
use fleet_contracts::DeploymentName;
use fleet_contracts::state::Code;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use turns::{Line, OPERATIONS_AT_ONCE, PULLS_AT_ONCE, Share, Turns};

mod files;
mod operations;
mod pull;
mod tidy;
mod turns;
mod values;

/// To look at the lock's file; it is in the kernel's memory on any disk that works.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Args {
    pub runtime: Arc<dyn ContainerRuntime>,
    pub reconcilers: Keyed<DeploymentName, Reconciler>,
    pub ownership: OwnershipView,
    pub clock: Clock,
    pub vault: Arc<dyn Vault>,
    pub floor: Floor,
}

pub struct Effects {
    args: Args,
    lanes: BTreeMap<(DeploymentName, Lane), Running>,
    operations: Line,
    pulls: Line,
    /// Of each deployment, while it has any lane.
    shares: BTreeMap<DeploymentName, Share>,
}

struct Running {
    task: TaskId,
    /// The image, when this is a pull.
    pulls: Option<String>,
}

impl Worker for Effects {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, _ctx: &mut Context<Message>) -> Result<Self, Fault> {
        args.reconcilers.broadcast(|_| Reconciler::Attached { lanes: Vec::new(), asked: Asked::ALL });
        Ok(Self {
            args,
            lanes: BTreeMap::new(),
            operations: Line::new(OPERATIONS_AT_ONCE),
            pulls: Line::new(PULLS_AT_ONCE),
            shares: BTreeMap::new(),
        })
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        match msg {
            Message::Perform(job) => self.on_perform(job, ctx),
            Message::Cancel { deployment, lane, unless_it_pulls, asked } => {
                self.on_cancel(deployment.clone(), lane, unless_it_pulls.as_deref(), ctx);
                self.on_attach(&deployment, asked);
            }
            Message::RemoveImage(removal, reply) => self.on_remove_image(removal, reply, ctx),
            Message::Removed => {}
            Message::Attach { deployment, asked } => self.on_attach(&deployment, asked),
            Message::Ended { deployment, lane, outcome } => self.on_ended(deployment, lane, outcome),
        }
        Ok(())
    }
}

impl Effects {
    fn on_perform(&mut self, job: Job, ctx: &mut Context<Message>) {
        let Job { deployment, lane, operation, asked } = job;
        if self.lanes.contains_key(&(deployment.clone(), lane.clone())) {
            return self.on_attach(&deployment, asked);
        }
        let Some(epoch) = self.args.ownership.epoch() else {
            self.args.reconcilers.send(&deployment, Reconciler::Ended(lane, Err(not_owner())));
            return;
        };
        log_begin(&deployment, &operation);
        let what = format!("{} for {deployment}", describe(&operation));
        let pulls = match &operation {
            Operation::Pull { image, .. } => Some(image.clone()),
            Operation::Create(_)
            | Operation::Start(_)
            | Operation::Unpause(_)
            | Operation::Stop { .. }
            | Operation::Remove { .. }
            | Operation::Rename { .. }
            | Operation::Check { .. }
            | Operation::LastWords(_)
            | Operation::RemoveNetwork(_) => None,
        };
        let work = self.work(&deployment, &lane, operation, epoch);
        let ended = (deployment.clone(), lane.clone());
        // Each call in it has its deadline; a grace period and a pull have their own measure.
        let task = ctx.spawn_unlimited(what, async move {
            let outcome = blame::on(ended.0.as_str(), alone(work)).await;
            Message::Ended { deployment: ended.0, lane: ended.1, outcome }
        });
        self.lanes.insert((deployment, lane), Running { task, pulls });
    }

    fn on_remove_image(&self, removal: Removal, reply: Reply<Removed>, ctx: &mut Context<Message>) {
        let Some(epoch) = self.args.ownership.epoch() else { return };
        let (runtime, ownership) = (self.args.runtime.clone(), self.args.ownership.clone());
        let slots = self.operations.clone();
        // Each call in it has its deadline.
        ctx.spawn_unlimited("remove an image".to_owned(), async move {
            reply.send(tidy::remove(&*runtime, ownership, epoch, slots, &removal).await);
            Message::Removed
        });
    }

    /// The operation as a future that owns all it needs: it may outlive the reconciler that asked.
    fn work(
        &mut self,
        deployment: &DeploymentName,
        lane: &Lane,
        operation: Operation,
        epoch: Epoch,
    ) -> impl Future<Output = Outcome> + Send + 'static + use<> {
        let (runtime, vault) = (self.args.runtime.clone(), self.args.vault.clone());
        let own = self.shares.entry(deployment.clone()).or_default();
        let lines = match operation {
            Operation::Pull { .. } => vec![own.pulls.clone(), self.pulls.clone()],
            Operation::Check { .. } | Operation::LastWords(_) => vec![own.checks.clone()],
            _ => vec![own.operations.clone(), self.operations.clone()],
        };
        let progress = pull::Progress::new(self.args.reconcilers.clone(), deployment.clone(), lane.clone());
        let ownership = self.args.ownership.clone();
        let name: &'static str = (&operation).into();
        let floor = self.args.floor;
        async move {
            // A grace period is waited for without holding a slot: slow stops delay nobody.
            let permit = Turns::take(lines).await;
            faults::point("before", name);
            if !goes_on(ownership, epoch).await {
                return Err(not_owner());
            }
            let outcome = match operation {
                Operation::Pull { image, registry_auth } => {
                    let wish = pull::Wish { image, registry_auth, floor };
                    pull::pull(&*runtime, &vault, &wish, progress, permit).await
                }
                Operation::Create(creation) => values::create(&*runtime, &vault, *creation).await,
                Operation::Stop { id, .. } => {
                    drop(permit);
                    operations::stop(&*runtime, &id).await
                }
                other => operations::perform(&*runtime, other).await,
            };
            faults::point("after", name);
            outcome
        }
    }

    fn on_cancel(
        &mut self,
        deployment: DeploymentName,
        lane: Lane,
        unless_it_pulls: Option<&str>,
        ctx: &mut Context<Message>,
    ) {
        let key = (deployment, lane);
        let pulls = self.lanes.get(&key).and_then(|running| running.pulls.as_deref());
        if pulls.is_some()
            && pulls != unless_it_pulls
            && let Some(running) = self.lanes.remove(&key)
        {
            ctx.cancel(running.task);
            self.forget_share(&key.0);
        }
    }

    fn on_attach(&self, deployment: &DeploymentName, asked: Asked) {
        let busy = self.lanes.keys().filter(|(of, _)| of == deployment).map(|(_, lane)| lane.clone());
        self.args.reconcilers.send(deployment, Reconciler::Attached { lanes: busy.collect(), asked });
    }

    fn on_ended(&mut self, deployment: DeploymentName, lane: Lane, outcome: Outcome) {
        self.lanes.remove(&(deployment.clone(), lane.clone()));
        self.forget_share(&deployment);
        log_end(&deployment, &lane, &outcome);
        self.args.reconcilers.send(&deployment, Reconciler::Ended(lane, outcome));
    }

    fn forget_share(&mut self, deployment: &DeploymentName) {
        if !self.lanes.keys().any(|(of, _)| of == deployment) {
            self.shares.remove(deployment);
        }
    }
}

/// A panic in an operation is the matter of its deployment, whose reconciler answers for it: here it would end the
/// operations of all others too.
async fn alone(work: impl Future<Output = Outcome>) -> Outcome {
    caught(work).await.unwrap_or_else(|message| Err(Failure::Panicked { message }))
}

/// Asked when an operation begins, not when it was asked for: it may have waited for a slot, and the
/// process may have been stopped. A disk that does not answer means no.
async fn goes_on(ownership: OwnershipView, epoch: Epoch) -> bool {
    let answer = questions::ask(About::Lock, ANSWER_WITHIN, move || ownership.goes_on(epoch)).await;
    answer == Some(true)
}

fn not_owner() -> Failure {
    let message = "this process does not own the device's state directory".to_owned();
    Failure::Unknown { code: Code::Internal, message }
}

fn describe(operation: &Operation) -> String {
    match operation {
        Operation::Create(creation) => format!("create {}", creation.name),
        Operation::Start(id) => format!("start {}", short(id.as_str())),
        Operation::Unpause(id) => format!("unpause {}", short(id.as_str())),
        Operation::Stop { id, .. } => format!("stop {}", short(id.as_str())),
        Operation::Remove { id, .. } => format!("remove {}", short(id.as_str())),
        Operation::Rename { id, to } => format!("rename {} to {to}", short(id.as_str())),
        Operation::Pull { image, .. } => format!("pull {image}"),
        Operation::Check { id, .. } => format!("check {}", short(id.as_str())),
        Operation::LastWords(id) => format!("last words of {}", short(id.as_str())),
        Operation::RemoveNetwork(name) => format!("remove network {name}"),
    }
}

/// Podman's own short form of an id.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn log_begin(deployment: &DeploymentName, operation: &Operation) {
    let what = describe(operation);
    match operation {
        Operation::Stop { cause, .. } | Operation::Remove { cause, .. } => {
            tracing::info!(%deployment, cause = reason(*cause), "{what}");
        }
        Operation::Unpause(_) => tracing::warn!(%deployment, "{what}: somebody paused it"),
        Operation::Create(_) | Operation::Start(_) | Operation::Pull { .. } => {
            tracing::info!(%deployment, "{what}")
        }
        Operation::Rename { .. }
        | Operation::RemoveNetwork(_)
        | Operation::Check { .. }
        | Operation::LastWords(_) => {
            tracing::debug!(%deployment, "{what}")
        }
    }
}

fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Changed => "its document changed and its successor is ready",
        Cause::Dropped => "the document no longer has its service",
        Cause::Removed => "its deployment was removed",
        Cause::Duplicate => "it is a second container in one slot",
        Cause::Dead => "it is dead",
        Cause::Unused => "it was prepared and is no longer wanted",
        Cause::Unfinished => "its making was cut off and it lacks its files",
        Cause::Unhealthy => "its health check fails",
        Cause::HalfStopped => "somebody began to stop it, and that came to no end",
    }
}

fn log_end(deployment: &DeploymentName, lane: &Lane, outcome: &Outcome) {
    match outcome {
        // Repeated as often as the check is, and nobody's fault but podman's.
        Err(error) if lane.only_reads() && !matches!(error, Failure::Panicked { .. }) => {
            tracing::debug!(%deployment, ?error, "not read");
        }
        Ok(effect) => tracing::debug!(%deployment, ?effect, "done"),
        Err(Failure::Refused { code, message } | Failure::Unknown { code, message }) => {
            tracing::warn!(%deployment, %code, "{message}");
        }
        Err(Failure::ImageMissing { message }) => tracing::debug!(%deployment, "{message}"),
        // Told in the state; it is the same at every tick.
        Err(Failure::NoRoom { message }) => tracing::debug!(%deployment, "{message}"),
        Err(Failure::NameConflict { message }) => tracing::debug!(%deployment, "{message}"),
        Err(Failure::Panicked { message }) => tracing::error!(%deployment, ?lane, "a panic: {message}"),
    }
}

#[cfg(test)]
mod tests;
