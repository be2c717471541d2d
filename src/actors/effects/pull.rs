//! One image pull, ended when it makes no progress.
use super::operations::failure;
use crate::messages::effects::{Effect, Failure, Lane, Outcome};
use crate::messages::reconcilers::Reconciler;
use crate::runtime::{ContainerRuntime, PullProgress};
use crate::supervision::Keyed;
use fleet_contracts::DeploymentName;
use fleet_contracts::state::Code;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A registry that stalls would hold the pull for ever. Podman reports each layer at least once a
/// second while bytes come.
const STALLED_AFTER: Duration = Duration::from_secs(60);
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
            let PullProgress { current, total } = *progress;
            let pulled = Reconciler::Pulled { service: service.clone(), current, total };
            self.reconcilers.send(&self.deployment, pulled);
        }
    }
}

pub async fn pull(runtime: &dyn ContainerRuntime, image: &str, mut progress: Progress) -> Outcome {
    let mut items = runtime.pull(image).await.map_err(failure)?;
    let mut best = PullProgress::default();
    let mut deadline = Instant::now() + STALLED_AFTER;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, items.next()).await {
            Err(_) => return Err(stalled(image, &best)),
            Ok(None) => return Ok(Effect::Pulled),
            Ok(Some(Err(error))) => return Err(failure(error)),
            Ok(Some(Ok(now))) => {
                // Repeated lines of the same bytes are no progress.
                if now != best {
                    deadline = Instant::now() + STALLED_AFTER;
                    progress.tell(&now);
                    best = now;
                }
            }
        }
    }
}

fn stalled(image: &str, at: &PullProgress) -> Failure {
    let PullProgress { current, total } = at;
    let message = format!(
        "pull {image}: no progress for {} s at {current} of {total} bytes; ended, to be tried again",
        STALLED_AFTER.as_secs()
    );
    Failure::Refused { code: Code::ImagePull, message }
}
