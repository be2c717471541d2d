//! Owns: the picture of the runtime: one list per tick, a look at a deployment when hinted.
//! Hears: its own timer, the runtime's event stream, the deaths of processes, reconcilers (`Look`, `Runs`).
//! Tells: reconcilers (`Observed`, `Blinded`), `deployments` and `reporter` about the runtime.
//! After a crash: lists everything at once; events were hints only.
use super::{Clock, retry_delay};
use crate::domain::container::{Container, Process, Status};
use crate::messages::deployments::{Deployments, RuntimeNews};
use crate::messages::observer::{Hints, Inventory, Observation, Observer as Message, Survey};
use crate::messages::reconcilers::{Blinded, Reconciler};
use crate::messages::reporter::Reporter;
use crate::runtime::{ContainerRuntime, ErrorKind, Hint, RuntimeError};
use crate::supervision::{Address, Context, Fault, Keyed, Reply, TaskId, Worker};
use fleet_contracts::DeploymentName;
use fleet_contracts::device::RuntimeInfo;
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A runtime that came back is noticed at the latest after this.
const RETRY_CAP: Duration = Duration::from_secs(15);
/// The event stream is only an accelerator: when it does not open, lists go on.
const HINTS_RETRY: Duration = Duration::from_secs(10);
/// Our own operations cause most hints, several each: they are looked at together. A death does not
/// wait for this, it is heard from the process itself.
const HINTS_GATHERED: Duration = Duration::from_millis(500);

/// Who asks what a document would change waits for 10 s; later nobody hears it.
const SURVEY_WITHIN: Duration = Duration::from_secs(9);

/// A name after the other, each with its deadline, and the list: less than a task may take before its actor is
/// restarted for it.
const IMAGES_WITHIN: Duration = Duration::from_secs(100);

#[derive(Clone)]
pub struct Args {
    pub runtime: Arc<dyn ContainerRuntime>,
    pub reconcilers: Keyed<DeploymentName, Reconciler>,
    pub deployments: Address<Deployments>,
    pub reporter: Address<Reporter>,
    /// One list for all deployments each so often.
    pub relist_every: Duration,
    pub clock: Clock,
}

pub struct Observer {
    args: Args,
    listing: bool,
    /// Deployments that are being looked at; true when another look was asked for meanwhile.
    looking: BTreeMap<DeploymentName, bool>,
    /// Waits for the end of each live process.
    watched: BTreeMap<Process, (DeploymentName, TaskId)>,
    hinted: BTreeSet<DeploymentName>,
    failures: u32,
    /// None: not known, or to be asked again because the runtime was away.
    runtime: Option<RuntimeInfo>,
}

impl Worker for Observer {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, ctx: &mut Context<Message>) -> Result<Self, Fault> {
        let mut observer = Self {
            args,
            listing: false,
            looking: BTreeMap::new(),
            watched: BTreeMap::new(),
            hinted: BTreeSet::new(),
            failures: 0,
            runtime: None,
        };
        observer.on_relist(ctx);
        observer.open_hints(ctx);
        Ok(observer)
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        match msg {
            Message::Relist => self.on_relist(ctx),
            Message::Look(deployment) => self.on_look(deployment, ctx),
            Message::Listed(Ok(seen)) => self.on_listed(seen, ctx),
            Message::Listed(Err(error)) => self.on_list_failed(&error, ctx),
            Message::Looked(deployment, result) => self.on_looked(deployment, result, ctx),
            Message::HintsOpened(Ok(hints)) => read_hint(hints, ctx),
            Message::HintsOpened(Err(_)) | Message::Hinted(None) => self.on_hints_ended(ctx),
            Message::Hinted(Some((hint, hints))) => self.on_hinted(hint, hints, ctx),
            Message::Runs(deployment, process) => self.watch(process, deployment, ctx),
            Message::LookDue => self.on_look_due(ctx),
            Message::RuntimeKnown(result) => self.on_runtime_known(result),
            Message::TellRuntime => self.tell_runtime(),
            Message::Survey(deployment, images, reply) => {
                self.on_survey(deployment, images, reply, ctx);
            }
            Message::Images(names, reply) => self.on_images(names, reply, ctx),
            Message::Surveyed => {}
        }
        Ok(())
    }
}

impl Observer {
    fn on_relist(&mut self, ctx: &mut Context<Message>) {
        if std::mem::replace(&mut self.listing, true) {
            return;
        }
        let (runtime, clock) = (self.args.runtime.clone(), self.args.clock);
        ctx.spawn("listing containers", async move {
            let begun = clock.now();
            let listed = runtime.list().await;
            Message::Listed(listed.map(|containers| Observation { begun, containers }))
        });
    }

    fn on_survey(
        &self,
        deployment: DeploymentName,
        images: Vec<String>,
        reply: Reply<Result<Survey, RuntimeError>>,
        ctx: &mut Context<Message>,
    ) {
        let runtime = self.args.runtime.clone();
        ctx.spawn(format!("surveying {deployment}"), async move {
            let surveyed = tokio::time::timeout(SURVEY_WITHIN, survey(&*runtime, &deployment, images)).await;
            reply.send(surveyed.unwrap_or_else(|_| Err(late("survey", deployment.as_str(), SURVEY_WITHIN))));
            Message::Surveyed
        });
    }

    fn on_images(
        &self,
        names: BTreeSet<String>,
        reply: Reply<Result<Inventory, RuntimeError>>,
        ctx: &mut Context<Message>,
    ) {
        let runtime = self.args.runtime.clone();
        ctx.spawn("listing images", async move {
            let listed = tokio::time::timeout(IMAGES_WITHIN, images(&*runtime, names)).await;
            reply.send(listed.unwrap_or_else(|_| Err(late("images", "all", IMAGES_WITHIN))));
            Message::Surveyed
        });
    }

    fn on_look(&mut self, deployment: DeploymentName, ctx: &mut Context<Message>) {
        if let Some(again) = self.looking.get_mut(&deployment) {
            *again = true;
            return;
        }
        self.looking.insert(deployment.clone(), false);
        let (runtime, clock) = (self.args.runtime.clone(), self.args.clock);
        ctx.spawn(format!("looking at {deployment}"), async move {
            let begun = clock.now();
            let seen = runtime.look(&deployment).await;
            Message::Looked(deployment, seen.map(|containers| Observation { begun, containers }))
        });
    }

    fn on_listed(&mut self, seen: Observation, ctx: &mut Context<Message>) {
        self.listing = false;
        self.reached(ctx);
        self.watch_only(&seen.containers, ctx);
        let mut by_deployment: BTreeMap<DeploymentName, Vec<Container>> = BTreeMap::new();
        for container in seen.containers {
            by_deployment.entry(container.deployment.clone()).or_default().push(container);
        }
        let deployments = by_deployment.keys().cloned().collect();
        let told = self.args.reconcilers.broadcast(|name| {
            let containers = by_deployment.get(name).cloned().unwrap_or_default();
            Reconciler::Observed(Observation { begun: seen.begun, containers })
        });
        told.iter().for_each(|name| drop(by_deployment.remove(name)));
        let news = RuntimeNews::Reachable { deployments, alone: by_deployment };
        self.args.deployments.send(Deployments::Runtime(news));
        ctx.after("relist", self.args.relist_every, Message::Relist);
    }

    fn reached(&mut self, ctx: &mut Context<Message>) {
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!("the container runtime answers again");
        }
        ctx.waiting_for(None);
        if self.runtime.is_none() {
            let runtime = self.args.runtime.clone();
            ctx.background(async move { Message::RuntimeKnown(runtime.info().await) });
        }
    }

    fn on_list_failed(&mut self, error: &RuntimeError, ctx: &mut Context<Message>) {
        self.listing = false;
        self.runtime = None;
        if self.failures == 0 {
            tracing::warn!(%error, "the container runtime does not answer; what runs goes on, retrying");
        }
        let text = error.to_string();
        self.args.deployments.send(Deployments::Runtime(RuntimeNews::Unreachable(text.clone())));
        let wait = retry_delay(self.failures, RETRY_CAP);
        let blinded = Blinded { why: text, retry_at: self.args.clock.now() + wait };
        self.args.reconcilers.broadcast(|_| Reconciler::Blinded(blinded.clone()));
        ctx.waiting_for(Some(format!("container runtime ({error})")));
        ctx.after("relist", wait, Message::Relist);
        self.failures = self.failures.saturating_add(1);
    }

    fn on_looked(
        &mut self,
        deployment: DeploymentName,
        result: Result<Observation, RuntimeError>,
        ctx: &mut Context<Message>,
    ) {
        let again = self.looking.remove(&deployment).unwrap_or(false);
        match result {
            Ok(seen) => {
                self.watch_also(&seen.containers, ctx);
                let containers = seen.containers.clone();
                if !self.args.reconcilers.send(&deployment, Reconciler::Observed(seen)) {
                    let alone = RuntimeNews::Alone(deployment.clone(), containers);
                    self.args.deployments.send(Deployments::Runtime(alone));
                }
            }
            // The list finds out whether the runtime is away, and tells everybody.
            Err(_) => self.on_relist(ctx),
        }
        if again {
            self.on_look(deployment, ctx);
        }
    }

    fn open_hints(&mut self, ctx: &mut Context<Message>) {
        let runtime = self.args.runtime.clone();
        ctx.background(async move { Message::HintsOpened(runtime.hints().await) });
    }

    fn on_hinted(&mut self, hint: Hint, hints: Hints, ctx: &mut Context<Message>) {
        if self.hinted.is_empty() {
            ctx.after("look", HINTS_GATHERED, Message::LookDue);
        }
        self.hinted.insert(hint.deployment);
        read_hint(hints, ctx);
    }

    fn on_look_due(&mut self, ctx: &mut Context<Message>) {
        for deployment in std::mem::take(&mut self.hinted) {
            self.on_look(deployment, ctx);
        }
    }

    /// What happened meanwhile is not known: list, and open the stream again a little later.
    fn on_hints_ended(&mut self, ctx: &mut Context<Message>) {
        let (runtime, wait) = (self.args.runtime.clone(), super::jittered(HINTS_RETRY));
        ctx.background(async move {
            tokio::time::sleep(wait).await;
            Message::HintsOpened(runtime.hints().await)
        });
        self.on_relist(ctx);
    }

    /// A list is everything there is: waits for other processes end.
    fn watch_only(&mut self, containers: &[Container], ctx: &mut Context<Message>) {
        let live: BTreeSet<Process> = processes(containers).map(|(process, _)| process).collect();
        let gone: Vec<Process> = self.watched.keys().filter(|p| !live.contains(p)).copied().collect();
        for process in gone {
            if let Some((_, task)) = self.watched.remove(&process) {
                ctx.cancel(task);
            }
        }
        self.watch_also(containers, ctx);
    }

    fn watch_also(&mut self, containers: &[Container], ctx: &mut Context<Message>) {
        for (process, deployment) in processes(containers) {
            self.watch(process, deployment.clone(), ctx);
        }
    }

    fn watch(&mut self, process: Process, deployment: DeploymentName, ctx: &mut Context<Message>) {
        if self.watched.contains_key(&process) {
            return;
        }
        let (runtime, of) = (self.args.runtime.clone(), deployment.clone());
        let task = ctx.background(async move {
            runtime.death(process).await;
            Message::Look(of)
        });
        self.watched.insert(process, (deployment, task));
    }

    fn on_runtime_known(&mut self, result: Result<RuntimeInfo, RuntimeError>) {
        self.runtime = result.ok();
        self.tell_runtime();
    }

    fn tell_runtime(&self) {
        if let Some(runtime) = &self.runtime {
            self.args.reporter.send(Reporter::Runtime(runtime.clone()));
        }
    }
}

fn processes(containers: &[Container]) -> impl Iterator<Item = (Process, &DeploymentName)> {
    containers.iter().filter_map(|container| match container.status {
        Status::Running(process) => Some((process, &container.deployment)),
        Status::Created | Status::Stopping(_) | Status::Ended { .. } | Status::Exited { .. } => None,
        Status::Lying | Status::Paused | Status::Busy => None,
    })
}

fn read_hint(mut hints: Hints, ctx: &mut Context<Message>) {
    ctx.background(async move {
        match hints.next().await {
            Some(Ok(hint)) => Message::Hinted(Some((hint, hints))),
            Some(Err(_)) | None => Message::Hinted(None),
        }
    });
}

fn late(operation: &'static str, object: &str, within: Duration) -> RuntimeError {
    let message = format!("no answer within {} s", within.as_secs());
    RuntimeError { operation, object: object.to_owned(), kind: ErrorKind::Timeout, message }
}

async fn images(runtime: &dyn ContainerRuntime, names: BTreeSet<String>) -> Result<Inventory, RuntimeError> {
    let mut named = BTreeSet::new();
    for name in names {
        named.extend(runtime.image(&name).await?);
    }
    // After these: what is listed is as new as what is known of it.
    Ok(Inventory { images: runtime.images().await?, named })
}

async fn survey(
    runtime: &dyn ContainerRuntime,
    deployment: &DeploymentName,
    images: Vec<String>,
) -> Result<Survey, RuntimeError> {
    let containers = runtime.look(deployment).await?;
    let mut there = BTreeSet::new();
    for image in images {
        if runtime.image(&image).await?.is_some() {
            there.insert(image);
        }
    }
    Ok(Survey { containers, images: there })
}

#[cfg(test)]
mod tests;
