//! What a document would change.
use super::{ANSWER_WITHIN, Desk, Result, unavailable};
use crate::domain::desired::Wanted;
use crate::domain::preview::Preview;
use crate::messages::observer::Observer;
use fleet_contracts::commands::{CommandError, ErrorCode, PlanReply, PlanRequest};
use fleet_contracts::desired::Pull;
use std::collections::BTreeSet;

impl Desk {
    /// From a look of its own: the reconciler's picture is not asked, and not changed.
    pub(super) async fn plan(&self, request: PlanRequest) -> Result<PlanReply> {
        let PlanRequest { deployment, desired } = request;
        let wanted = (!desired.is_null()).then(|| read_document(&desired)).transpose()?;
        let images =
            wanted.iter().flat_map(|w| w.targets.values()).map(|target| target.service.image.clone());
        let (name, images) = (deployment.clone(), images.collect());
        let asked =
            self.args.observer.ask(|reply| Observer::Survey(name, images, reply), ANSWER_WITHIN).await;
        let survey = asked.map_err(|error| unavailable("observer", &error))?;
        let survey = survey.map_err(|error| CommandError::new(ErrorCode::NotReady, error.to_string()))?;
        let Preview { stop, start, keep, images } =
            Preview::new(&deployment, wanted.as_ref(), &survey.containers);
        let is_pulled = |(image, policy): &(String, Pull)| match policy {
            Pull::Always => true,
            Pull::IfMissing => !survey.images.contains(image),
            Pull::Never => false,
        };
        let pull = images.into_iter().filter(is_pulled).map(|(image, _)| image).collect();
        let listed = |names: BTreeSet<String>| names.into_iter().collect();
        Ok(PlanReply { stop: listed(stop), start: listed(start), keep: listed(keep), pull })
    }
}

fn read_document(desired: &serde_json::Value) -> Result<Wanted> {
    // No revision: nothing was written.
    Wanted::read(desired.to_string().as_bytes(), 0)
        .map_err(|refusal| CommandError::new(ErrorCode::BadRequest, format!("desired: {refusal}")))
}
