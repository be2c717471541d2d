//! Names, and what is derived from them: container names, subjects, buckets and keys.
//!
//! A name of another form is refused where it enters, never "cleaned".
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bucket with one `DesiredDeployment` per key `<device>.<deployment>`.
pub const DESIRED_STATE: &str = "desired-state";
/// Bucket with one `DeviceInfo` per key `info.<device>`.
pub const DEVICE_INFO: &str = "device-info";
/// Bucket with one `DeploymentState` per key `state.<device>.<deployment>`.
pub const DEVICE_STATE: &str = "device-state";
/// Bucket with one `Heartbeat` per key `heartbeat.<device>`.
pub const DEVICE_HEARTBEAT: &str = "device-heartbeat";
/// Largest KV document that is read, in bytes.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// Container labels. Containers without [`label::DEVICE`] equal to the device are never touched.
pub mod label {
    pub const PREFIX: &str = "io.fleet.";
    pub const DEVICE: &str = "io.fleet.device";
    pub const DEPLOYMENT: &str = "io.fleet.deployment";
    pub const SERVICE: &str = "io.fleet.service";
    pub const SPEC_DIGEST: &str = "io.fleet.spec-digest";
    pub const REVISION: &str = "io.fleet.revision";
    /// Names of services, with commas between them; only where there are any.
    pub const DEPENDS_ON: &str = "io.fleet.depends-on";
    /// Tells the values of secrets that say `reload` from others, and nothing else of them.
    pub const SECRETS_VERSION: &str = "io.fleet.secrets-version";
}

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} \"{given}\" is not valid: {rule}")]
pub struct NameError {
    what: &'static str,
    given: String,
    rule: &'static str,
}

impl NameError {
    fn new(what: &'static str, given: &str, rule: &'static str) -> Self {
        // A name can be as long as a NATS subject allows; the message need not be.
        let given = given.chars().take(80).collect();
        Self { what, given, rule }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(given: &str) -> Result<Self, NameError> {
                if $valid(given) { Ok(Self(given.into())) } else { Err(NameError::new($what, given, $rule)) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(given: String) -> Result<Self, NameError> {
                given.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.to_string()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_device_id(s: &str) -> bool {
    (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_dns_label(s: &str) -> bool {
    (1..=63).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !s.starts_with('-')
        && !s.ends_with('-')
}

/// One plain file name: nothing that leads out of a directory, and nothing hidden.
fn is_value_name(s: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=128).contains(&s.len()) && s.bytes().all(plain) && !s.starts_with('.')
}

name!(
    /// A device's id: one NATS token, 1 to 64 of `A-Z a-z 0-9 _ -`.
    DeviceId, "device id", "use 1 to 64 of A-Z a-z 0-9 _ -", is_device_id
);
name!(
    /// A deployment's name: a DNS label (RFC 1123), 1 to 63 of `a-z 0-9 -`, no `-` at either end.
    DeploymentName, "deployment name", "use 1 to 63 of a-z 0-9 -, without - at either end", is_dns_label
);
name!(
    /// A service's name: a DNS label (RFC 1123), 1 to 63 of `a-z 0-9 -`, no `-` at either end.
    ServiceName, "service name", "use 1 to 63 of a-z 0-9 -, without - at either end", is_dns_label
);

name!(
    /// The name of a secret or a registry credential that is kept on the device: 1 to 128 of `A-Z a-z 0-9 _ . -`,
    /// no `.` first.
    ValueName, "name of a value", "use 1 to 128 of A-Z a-z 0-9 _ . -, without . at the begin", is_value_name
);

/// Which of a slot's possible names a container bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// In service: `fleet-<deployment>.<service>`.
    Main,
    /// A successor being prepared: `….next`.
    Next,
    /// One being replaced: `….old`.
    Old,
    /// One that still waits for its files: `….draft`. Nobody starts it.
    Draft,
}

/// The container name of a service slot in a role. Podman's unique names make it a lock.
pub fn container_name(deployment: &DeploymentName, service: &ServiceName, role: Role) -> String {
    let suffix = match role {
        Role::Main => "",
        Role::Next => ".next",
        Role::Old => ".old",
        Role::Draft => ".draft",
    };
    format!("fleet-{deployment}.{service}{suffix}")
}

/// The podman network of a deployment.
pub fn network_name(deployment: &DeploymentName) -> String {
    format!("fleet-{deployment}")
}

/// The podman volume behind the named volume `volume` of a deployment.
pub fn volume_name(deployment: &DeploymentName, volume: &str) -> String {
    format!("fleet-{deployment}.{volume}")
}

/// Key in [`DESIRED_STATE`].
pub fn desired_key(device: &DeviceId, deployment: &DeploymentName) -> String {
    format!("{device}.{deployment}")
}

/// Key in [`DEVICE_STATE`].
pub fn state_key(device: &DeviceId, deployment: &DeploymentName) -> String {
    format!("state.{device}.{deployment}")
}

/// Key in [`DEVICE_INFO`].
pub fn info_key(device: &DeviceId) -> String {
    format!("info.{device}")
}

/// Key in [`DEVICE_HEARTBEAT`].
pub fn heartbeat_key(device: &DeviceId) -> String {
    format!("heartbeat.{device}")
}

/// Subject of the live pulse (core NATS, MessagePack).
pub fn pulse_subject(device: &DeviceId) -> String {
    format!("device-state.{device}")
}

/// Subject of a command verb.
pub fn command_subject(device: &DeviceId, verb: &str) -> String {
    format!("device-command.{device}.{verb}")
}

#[cfg(test)]
mod tests;
