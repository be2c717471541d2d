//! One image pull, ended when it makes no progress, or none to speak of while others wait.
use super::operations::failure;
use super::turns::Turns;
use super::values;
use crate::domain::floor::{self, Floor};
use crate::domain::images::{Arrival, Image};
use crate::messages::effects::{Effect, Failure, Lane, Outcome};
use crate::messages::reconcilers::Reconciler;
use crate::runtime::{ContainerRuntime, ErrorKind, PullProgress, RuntimeError};
use crate::supervision::Keyed;
use crate::vault::Vault;
use fleet_contracts::state::Code;
use fleet_contracts::{DeploymentName, ValueName};
use futures_util::StreamExt;
use patience::Patience;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

mod patience;

/// To find the archive or to reach podman; the adapter has deadlines of its own, this is the second line.
const OPENED_WITHIN: Duration = Duration::from_secs(90);
/// Progress goes to the state's readers over a metered link: not more often than this.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Where the progress of one pull is told.
pub struct Progress {
    reconcilers: Keyed<DeploymentName, Reconciler>,
    deployment: DeploymentName,
    lane: Lane,
    told: Option<Instant>,
}

impl Progress {
    pub fn new(
        reconcilers: Keyed<DeploymentName, Reconciler>,
        deployment: DeploymentName,
        lane: Lane,
    ) -> Self {
        Self { reconcilers, deployment, lane, told: None }
    }

    fn tell(&mut self, progress: &PullProgress) {
        if self.told.is_some_and(|at| at.elapsed() < TOLD_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        if let Lane::Image(service) = &self.lane {
            let PullProgress { current, total, .. } = *progress;
            let pulled = Reconciler::Pulled { service: service.clone(), current, total };
            self.reconcilers.send(&self.deployment, pulled);
        }
    }
}

/// What is to be pulled, and under which conditions.
pub struct Wish {
    pub image: String,
    pub registry_auth: Option<ValueName>,
    pub floor: Floor,
}

pub async fn pull(
    runtime: &dyn ContainerRuntime,
    vault: &Arc<dyn Vault>,
    wish: &Wish,
    mut progress: Progress,
    turns: Turns,
) -> Outcome {
    let Wish { image, registry_auth, floor } = wish;
    let credential = match registry_auth.clone() {
        Some(name) => Some(values::credential(vault, name, image).await?),
        None => None,
    };
    has_room(runtime, *floor, image).await?;
    let before = runtime.images().await;
    let opened = timeout(OPENED_WITHIN, runtime.pull(image, credential.as_ref())).await;
    let mut items = match opened.map_err(|_| unopened(image))? {
        Ok(items) => items,
        Err(error) => return Err(not_fetched(runtime, error).await),
    };
    let mut patience = Patience::new(image, turns);
    loop {
        match timeout(patience.left(), items.next()).await {
            Err(_) => {}
            Ok(None) => return Ok(Effect::Pulled(arrival(runtime, image, before).await)),
            Ok(Some(Err(error))) => return Err(not_fetched(runtime, error).await),
            Ok(Some(Ok(now))) => {
                if patience.saw(&now) {
                    progress.tell(&now);
                }
            }
        }
        patience.is_over()?;
    }
}

/// What it came to, for the note of what the agent brought here. An image that is not noted is never removed: this may
/// fail.
async fn arrival(
    runtime: &dyn ContainerRuntime,
    image: &str,
    before: Result<Vec<Image>, RuntimeError>,
) -> Option<Arrival> {
    let (before, after) = (before.ok()?, runtime.images().await.ok()?);
    let id = runtime.image(image).await.ok()??;
    Some(Arrival::between(&before, &after, id))
}

/// Whether a pull may begin. Where nobody can say how much is free there is no floor.
async fn has_room(runtime: &dyn ContainerRuntime, floor: Floor, image: &str) -> Result<(), Failure> {
    if floor.is_off() {
        return Ok(());
    }
    let Some(storage) = runtime.storage().await.map_err(failure)? else {
        tracing::warn!("podman's storage is not seen from here: min_free_mb is not kept");
        return Ok(());
    };
    match floor.objection(&storage.path, storage.free) {
        Some(why) => Err(Failure::NoRoom { message: format!("pull {image}: not begun: {why}") }),
        None => Ok(()),
    }
}

async fn not_fetched(runtime: &dyn ContainerRuntime, error: RuntimeError) -> Failure {
    match error.kind {
        // The file that it should come from is not there: nothing but waiting for it helps.
        ErrorKind::ImageMissing => Failure::Refused { code: Code::ImageMissing, message: error.to_string() },
        ErrorKind::DiskFull => {
            // What came of it is cleared away by now: these are the figures of the next attempt.
            let figures = match runtime.storage().await {
                Ok(Some(storage)) => floor::figures(&storage.path, storage.free),
                Ok(None) | Err(_) => "how much is free is not seen from here".to_owned(),
            };
            Failure::Refused { code: Code::DiskFull, message: format!("{error}; {figures}") }
        }
        _ => failure(error),
    }
}

fn unopened(image: &str) -> Failure {
    let message = format!("pull {image}: it did not begin within {} s", OPENED_WITHIN.as_secs());
    Failure::Refused { code: Code::ImagePull, message }
}
