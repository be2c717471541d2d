//! From a validated document to what a runtime is asked to create.
use fleet_contracts::desired::{Device, Port, Resources};
use std::collections::BTreeMap;

/// Everything a runtime needs to create one container. Complete but for the values of secrets, which are read
/// from the device when it is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSpec {
    pub image: String,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub working_dir: Option<String>,
    pub user: Option<String>,
    pub env: BTreeMap<String, String>,
    /// Variables whose values are nobody else's to see; UTF-8 without NUL.
    pub hidden_env: BTreeMap<String, Hidden>,
    pub ports: Vec<Port>,
    pub mounts: Vec<Mount>,
    pub devices: Vec<Device>,
    pub resources: Resources,
    /// MiB; None: the runtime's own limit.
    pub log_max_size_mb: Option<u64>,
    /// The agent's own `io.fleet.*` labels included.
    pub labels: BTreeMap<String, String>,
    /// `host`, `none`, or the name of a network.
    pub network: String,
    /// Names under which others on the network find it.
    pub aliases: Vec<String>,
    /// Baked in, so that a hand-made `podman stop` is as gentle as ours.
    pub stop_signal: String,
    pub stop_timeout_s: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Volume name or absolute host path.
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

/// A file that a container gets before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedFile {
    /// Absolute path in the container.
    pub path: String,
    pub mode: u16,
    pub owner: FileOwner,
    pub content: Hidden,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileOwner {
    Root,
    /// Whoever the container's process runs as.
    User,
}

use super::container::SpecDigest;
use super::desired::Target;
use super::hidden::Hidden;
use fleet_contracts::desired::{self, DesiredDeployment, Lifecycle, Network, Service, Volume, VolumeSource};
use fleet_contracts::names::{label, network_name, volume_name};
use fleet_contracts::{DeploymentName, DeviceId};

/// Digest of one service with its lifecycle: the value of label `io.fleet.spec-digest`.
pub fn digest_of_service(service: &Service, lifecycle: &Lifecycle) -> SpecDigest {
    sha256(desired::canonical_spec(service, lifecycle).as_bytes())
}

/// Digest of a whole document: `DeploymentState.spec_digest`.
pub fn digest_of(deployment: &DesiredDeployment) -> SpecDigest {
    sha256(deployment.canonical().as_bytes())
}

fn sha256(bytes: &[u8]) -> SpecDigest {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    SpecDigest::from_hex(&hex)
}

/// A network to be made where it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNetwork {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// Whose container it will be.
pub struct Owner<'a> {
    pub device: &'a DeviceId,
    pub deployment: &'a DeploymentName,
    pub revision: u64,
}

impl Owner<'_> {
    /// Labels of what belongs to the deployment as a whole: its network and volumes.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        BTreeMap::from([
            pair(label::DEVICE, self.device.as_str()),
            pair(label::DEPLOYMENT, self.deployment.as_str()),
        ])
    }

    fn container_labels(&self, target: &Target) -> BTreeMap<String, String> {
        let mut labels = target.service.labels.clone();
        labels.extend(self.labels());
        labels.insert(label::SERVICE.into(), target.service.name.to_string());
        labels.insert(label::SPEC_DIGEST.into(), target.digest.to_string());
        labels.insert(label::REVISION.into(), self.revision.to_string());
        // So that the order of stopping is known when the document is gone.
        let before: Vec<&str> = target.service.depends_on.iter().map(|d| d.service.as_str()).collect();
        if !before.is_empty() {
            labels.insert(label::DEPENDS_ON.into(), before.join(","));
        }
        labels
    }

    pub fn create_spec(&self, target: &Target) -> CreateSpec {
        let Target { service, lifecycle, .. } = target;
        CreateSpec {
            image: service.image.clone(),
            command: service.command.clone(),
            entrypoint: service.entrypoint.clone(),
            working_dir: service.working_dir.clone(),
            user: service.user.clone(),
            env: service.env.clone(),
            hidden_env: BTreeMap::new(),
            ports: service.ports.clone(),
            mounts: service.volumes.iter().map(|volume| self.mount(volume)).collect(),
            devices: service.devices.clone(),
            resources: service.resources.clone(),
            log_max_size_mb: service.log.max_size_mb,
            labels: self.container_labels(target),
            network: match &service.network {
                Network::Bridge => network_name(self.deployment),
                Network::Host | Network::None | Network::Named(_) => service.network.to_string(),
            },
            aliases: vec![service.name.to_string()],
            stop_signal: lifecycle.stop_signal.as_str().to_owned(),
            stop_timeout_s: lifecycle.grace_period_s,
        }
    }

    /// The files that the container gets before it starts.
    pub fn files(&self, target: &Target) -> Vec<PlacedFile> {
        let place = |file: &desired::File| PlacedFile {
            path: file.path.clone(),
            mode: file.mode.bits(),
            owner: FileOwner::Root,
            content: Hidden::new(file.content.as_bytes()),
        };
        target.service.files.iter().map(place).collect()
    }

    fn mount(&self, volume: &Volume) -> Mount {
        let source = match &volume.source {
            VolumeSource::Named(name) => volume_name(self.deployment, name),
            VolumeSource::Bind(path) => path.clone(),
        };
        Mount { source, target: volume.target.clone(), read_only: volume.read_only }
    }

    /// The network that has to exist before the container is created. A named one is shared: it is the
    /// device's, and no deployment's to remove.
    pub fn network(&self, target: &Target) -> Option<NewNetwork> {
        let device = || BTreeMap::from([(label::DEVICE.to_owned(), self.device.to_string())]);
        match &target.service.network {
            Network::Bridge => {
                Some(NewNetwork { name: network_name(self.deployment), labels: self.labels() })
            }
            Network::Named(name) => Some(NewNetwork { name: name.clone(), labels: device() }),
            Network::Host | Network::None => None,
        }
    }

    /// The podman volumes that have to exist before the container is created.
    pub fn volumes(&self, target: &Target) -> Vec<String> {
        let named = target.service.volumes.iter().filter_map(|volume| match &volume.source {
            VolumeSource::Named(name) => Some(volume_name(self.deployment, name)),
            VolumeSource::Bind(_) => None,
        });
        named.collect()
    }
}
