//! Which images the agent brought to this device, who used them, and which of them nobody needs any more.
//!
//! What is not noted here is never removed: a note that is lost leaves images lying about, and nothing else.
use fleet_contracts::{DeploymentName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// Noted at most, of each kind; the oldest are forgotten first. With full names that is some 100 KiB on the disk.
const MAX_IMAGES: usize = 256;
const MAX_SERVICES: usize = 1024;

/// An image as the runtime lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub id: String,
    /// By tag, as the runtime spells them.
    pub names: BTreeSet<String>,
    /// By a container of anybody, whether it runs or not.
    pub is_used: bool,
}

/// What a pull came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub id: String,
    /// The names that it got by it.
    pub names: BTreeSet<String>,
    /// Ids of everything that was there before.
    pub before: BTreeSet<String>,
    /// Ids of everything that was there afterwards: another pull may have ended meanwhile.
    pub after: BTreeSet<String>,
}

impl Arrival {
    /// The difference that a pull of the image with this id made.
    pub fn between(before: &[Image], after: &[Image], id: String) -> Self {
        let names = |images: &[Image]| -> BTreeSet<String> {
            let of_it = images.iter().filter(|image| image.id == id);
            of_it.flat_map(|image| image.names.iter().cloned()).collect()
        };
        let ids = |images: &[Image]| images.iter().map(|image| image.id.clone()).collect();
        let gained = names(after).difference(&names(before)).cloned().collect();
        Self { names: gained, before: ids(before), after: ids(after), id }
    }
}

/// An image that the agent brought here: it was not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    pub id: String,
    /// The names that it got by us. One that has another was named by somebody else, and is kept.
    pub names: BTreeSet<String>,
    /// For which it was pulled, as long as they are there.
    pub deployments: BTreeSet<DeploymentName>,
}

/// The image that a service was seen to run well with last, and the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    pub now: String,
    pub former: Option<String>,
}

/// What survives of all this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// Oldest first.
    pub brought: Vec<Brought>,
    pub used: BTreeMap<(DeploymentName, ServiceName), Used>,
}

/// An image that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    pub id: String,
    pub names: BTreeSet<String>,
}

impl Note {
    /// A pull for this deployment ended well.
    pub fn arrived(&mut self, deployment: &DeploymentName, arrival: Arrival) {
        let Arrival { id, names, before, after } = arrival;
        // What somebody removed meanwhile would be somebody's when it is there again.
        self.brought.retain(|brought| before.contains(&brought.id) || after.contains(&brought.id));
        if let Some(known) = self.brought.iter_mut().find(|brought| brought.id == id) {
            known.names.extend(names);
            known.deployments.insert(deployment.clone());
        } else if !before.contains(&id) {
            let deployments = BTreeSet::from([deployment.clone()]);
            self.brought.push(Brought { id, names, deployments });
        }
        let above = self.brought.len().saturating_sub(MAX_IMAGES);
        self.brought.drain(..above);
    }

    /// All services of this deployment run well, each with this image.
    pub fn settled(&mut self, deployment: &DeploymentName, images: &BTreeMap<ServiceName, String>) {
        let before = self.take(deployment);
        for (service, now) in images {
            let used = match before.get(service) {
                Some(used) if used.now == *now => used.clone(),
                Some(used) => Used { now: now.clone(), former: Some(used.now.clone()) },
                None => Used { now: now.clone(), former: None },
            };
            // Of images that are not ours nothing has to be remembered.
            let is_ours = |id: &String| self.brought.iter().any(|brought| brought.id == *id);
            let matters = is_ours(&used.now) || used.former.as_ref().is_some_and(is_ours);
            if matters && self.used.len() < MAX_SERVICES {
                self.used.insert((deployment.clone(), service.clone()), used);
            }
        }
    }

    /// Nothing of this deployment is left: its images are nobody's, its former ones too.
    pub fn gone(&mut self, deployment: &DeploymentName) {
        self.take(deployment);
        for brought in &mut self.brought {
            brought.deployments.remove(deployment);
        }
    }

    fn take(&mut self, deployment: &DeploymentName) -> BTreeMap<ServiceName, Used> {
        let mut taken = BTreeMap::new();
        self.used.retain(|(of, service), used| {
            let is_its = of == deployment;
            if is_its {
                taken.insert(service.clone(), used.clone());
            }
            !is_its
        });
        taken
    }

    /// The images that no service uses or is kept for, and for which no deployment is on its way.
    pub fn spare(&self, is_settled: impl Fn(&DeploymentName) -> bool) -> BTreeSet<String> {
        let kept =
            |id: &String| self.used.values().any(|used| used.now == *id || used.former.as_ref() == Some(id));
        let spare = self
            .brought
            .iter()
            .filter(|brought| !kept(&brought.id) && brought.deployments.iter().all(&is_settled));
        spare.map(|brought| brought.id.clone()).collect()
    }

    /// Which of the spare ones may go, by what is there now. `named` are the ids behind the names in accepted documents.
    pub fn removable(
        &self,
        spare: &BTreeSet<String>,
        there: &[Image],
        named: &BTreeSet<String>,
    ) -> Vec<Removal> {
        let is_ours = |image: &Image| {
            let brought = self.brought.iter().find(|brought| brought.id == image.id);
            brought.is_some_and(|brought| image.names.is_subset(&brought.names))
        };
        let unused = there.iter().filter(|image| spare.contains(&image.id) && !image.is_used);
        let going = unused.filter(|image| !named.contains(&image.id) && is_ours(image));
        going.map(|image| Removal { id: image.id.clone(), names: image.names.clone() }).collect()
    }

    /// These are not there any more.
    pub fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        self.brought.retain(|brought| !is_gone(&brought.id));
    }
}

#[cfg(test)]
mod tests;
