//! A validated document with everything that is derived from it.
use super::container::{Container, OwedStart, SpecDigest};
use super::jobs::End;
use super::spec;
use fleet_contracts::desired::{DesiredDeployment, Lifecycle, Refusal, Restart, Service, parse};
use fleet_contracts::{ServiceName, ValueName};
use std::collections::BTreeMap;

/// What one service slot should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub service: Service,
    pub lifecycle: Lifecycle,
    pub digest: SpecDigest,
}

impl Target {
    /// Whether a container was made to this target: its digest label decides, never what the runtime
    /// says of its environment or volumes.
    pub fn digest_is(&self, container: &Container) -> bool {
        container.digest.as_ref() == Some(&self.digest)
    }

    /// The secrets of which another value is a reason to make the container anew. A job is not run again
    /// because of one.
    pub fn reloaded(&self) -> Vec<ValueName> {
        let is_job = self.service.restart == Restart::Never;
        let reloaded = self.service.secrets.iter().filter(|secret| secret.reload && !is_job);
        reloaded.map(|secret| secret.name.clone()).collect()
    }

    /// Whether the restart policy leaves a container down that exited with this code.
    pub fn stays_down(&self, code: i64) -> bool {
        match self.service.restart {
            Restart::Always => false,
            Restart::OnFailure => code == 0,
            Restart::Never => true,
        }
    }
}

/// An accepted document: its revision, and the target of every slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub revision: u64,
    /// Digest over the whole document in its canonical form.
    pub digest: SpecDigest,
    /// Boxed: a map has room for eleven values from its first on, and most documents have one service.
    pub targets: BTreeMap<ServiceName, Box<Target>>,
    /// Unknown fields of the document, by path.
    pub warnings: Vec<String>,
    /// A newer document may have been acted on: until the bucket was asked, nothing that is there is replaced.
    pub doubtful: bool,
    /// What is durable of runs that are stopped for their health.
    pub owed: BTreeMap<ServiceName, OwedStart>,
    /// How jobs of it ended, as far as that was noted.
    pub ends: BTreeMap<ServiceName, End>,
}

impl Wanted {
    /// Reads a document. The same bytes give the same answer, always.
    pub fn read(document: &[u8], revision: u64) -> Result<Self, Refusal> {
        let parsed = parse(document)?;
        let digest = spec::digest_of(&parsed.deployment);
        let (targets, warnings) = (targets(parsed.deployment), parsed.warnings);
        let (owed, ends) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { revision, digest, targets, warnings, doubtful: false, owed, ends })
    }
}

fn targets(deployment: DesiredDeployment) -> BTreeMap<ServiceName, Box<Target>> {
    let DesiredDeployment { services, lifecycle } = deployment;
    let target = |service: Service| Target {
        digest: spec::digest_of_service(&service, &lifecycle),
        lifecycle: lifecycle.clone(),
        service,
    };
    services.into_iter().map(|service| (service.name.clone(), Box::new(target(service)))).collect()
}
