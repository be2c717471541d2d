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
        blind.or_else(|| report::complaint(facts).map(|worst| self.with_who_waits(worst))).or_else(network)
    }

    /// Who looks for the reason why a service does not start finds it in the one that it waits for.
    fn with_who_waits(&self, mut complaint: Complaint) -> Complaint {
        let waiting = complaint.service.as_ref().map(|service| self.waiting_for(service)).unwrap_or_default();
        let names: Vec<&str> = waiting.iter().map(|name| name.as_str()).collect();
        match names.as_slice() {
            [] => {}
            [one] => complaint.trouble.message += &format!("; {one} waits for it"),
            many => complaint.trouble.message += &format!("; {} wait for it", many.join(", ")),
        }
        complaint
    }
}
