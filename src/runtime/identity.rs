//! Who a container is, by its labels.
use crate::domain::container::{Container, ContainerId, SpecDigest, Status};
use crate::domain::hidden::SecretsVersion;
use fleet_contracts::names::label;
use fleet_contracts::{DeploymentName, DeviceId, ServiceName};
use std::collections::BTreeMap;

pub(super) type Labels = BTreeMap<String, String>;

/// The names in a container's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) deployment: DeploymentName,
    pub(super) service: ServiceName,
    pub(super) digest: Option<SpecDigest>,
    pub(super) secrets: Option<SecretsVersion>,
    pub(super) depends_on: Vec<ServiceName>,
}

/// None for a container of another device, and for one whose names cannot be read.
pub(super) fn identity(device: &DeviceId, labels: &Labels) -> Option<Identity> {
    if labels.get(label::DEVICE)? != device.as_str() {
        return None;
    }
    Some(Identity {
        deployment: labels.get(label::DEPLOYMENT)?.parse().ok()?,
        service: labels.get(label::SERVICE)?.parse().ok()?,
        digest: labels.get(label::SPEC_DIGEST).map(|hex| SpecDigest::from_hex(hex)),
        secrets: labels.get(label::SECRETS_VERSION).map(|text| SecretsVersion::new(text)),
        depends_on: depends_on(labels),
    })
}

/// What cannot be read is left out: it only decides in which order containers are stopped.
fn depends_on(labels: &Labels) -> Vec<ServiceName> {
    let names = labels.get(label::DEPENDS_ON).map(|list| list.split(','));
    names.into_iter().flatten().filter_map(|name| name.parse().ok()).collect()
}

impl Identity {
    pub(super) fn container(self, id: ContainerId, name: &str, status: Status) -> Container {
        Container {
            id,
            name: name.into(),
            deployment: self.deployment,
            service: self.service,
            digest: self.digest,
            secrets: self.secrets,
            depends_on: self.depends_on,
            status,
            image_id: None,
            started_at: None,
        }
    }
}

#[cfg(test)]
mod tests;
