//! One image pull, ended when it makes no progress, or none to speak of while others wait.
use super::operations::failure;
use super::turns::Turns;
use super::values;
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

pub async fn pull(
    runtime: &dyn ContainerRuntime,
    vault: &Arc<dyn Vault>,
    image: &str,
    registry_auth: Option<ValueName>,
    mut progress: Progress,
    turns: Turns,
) -> Outcome {
    let credential = match registry_auth {
        Some(name) => Some(values::credential(vault, name, image).await?),
        None => None,
    };
    let opened = timeout(OPENED_WITHIN, runtime.pull(image, credential.as_ref())).await;
    let mut items = opened.map_err(|_| unopened(image))?.map_err(not_fetched)?;
    let mut patience = Patience::new(image, turns);
    loop {
        match timeout(patience.left(), items.next()).await {
            Err(_) => {}
            Ok(None) => return Ok(Effect::Pulled),
            Ok(Some(Err(error))) => return Err(not_fetched(error)),
            Ok(Some(Ok(now))) => {
                if patience.saw(&now) {
                    progress.tell(&now);
                }
            }
        }
        patience.is_over()?;
    }
}

/// The file that an image should come from is not there: nothing but waiting for it helps.
fn not_fetched(error: RuntimeError) -> Failure {
    match error.kind {
        ErrorKind::ImageMissing => Failure::Refused { code: Code::ImageMissing, message: error.to_string() },
        _ => failure(error),
    }
}

fn unopened(image: &str) -> Failure {
    let message = format!("pull {image}: it did not begin within {} s", OPENED_WITHIN.as_secs());
    Failure::Refused { code: Code::ImagePull, message }
}
