//! What is told of a deployment.
use super::*;

impl Picture {
    /// Hands each slot's facts to `tell`, with what is said of the deployment as a whole. Slots that
    /// are neither wanted nor filled are forgotten.
    pub fn tell<T>(
        &self,
        steps: &[(ServiceName, Step)],
        tell: impl FnOnce(&[SlotFacts<'_>], Phase, Option<Complaint>) -> T,
    ) -> T {
        let views: Vec<View> = steps.iter().map(|(name, _)| self.view(name)).collect();
        let facts: Vec<SlotFacts<'_>> = steps
            .iter()
            .zip(&views)
            .filter(|((name, step), _)| self.target(name).is_some() || *step != Step::Done(Rest::Empty))
            .filter_map(|((name, step), view)| {
                let memory = &self.slots.get(name)?.memory;
                let target = self.target(name);
                let restart = target.map(|target| target.service.restart);
                let outdated =
                    target.zip(view.main.as_ref()).is_some_and(|(target, main)| !target.digest_is(main));
                Some(SlotFacts { name, restart, outdated, view, memory, step })
            })
            .collect();
        let complaint = self.complaint(&facts);
        let phase = match self.order {
            Order::Vanish => Phase::Stopping,
            _ if !self.seen && complaint.is_none() => Phase::Pending,
            Order::None | Order::Run(_) => report::phase(&facts, complaint.as_ref()),
        };
        tell(&facts, phase, complaint)
    }

    fn complaint(&self, facts: &[SlotFacts<'_>]) -> Option<Complaint> {
        let blind = self.blinded.as_ref().map(|blinded| Complaint {
            service: None,
            trouble: Trouble {
                about: About::Running,
                code: Code::RuntimeUnreachable,
                message: blinded.why.clone(),
                retry_at: Some(blinded.retry_at),
            },
        });
        let network = || {
            let trouble = self.network_trouble.clone()?;
            Some(Complaint { service: None, trouble })
        };
        blind.or_else(|| report::complaint(facts)).or_else(network)
    }
}
