//! What fleet-agent and its clients agree on: names, KV documents, commands and encodings.
//!
//! No tokio and no NATS in here, so that any operator software can depend on it.
//!
//! * [`names`]: device ids, deployment and service names, container names, subjects and keys
//! * [`desired`]: `DesiredDeployment`, what an operator writes; [`desired::parse`] is the only door
//! * [`state`]: `DeploymentState`, what a device reports of one deployment
//! * [`device`]: `DeviceInfo`, `Heartbeat`, and the live pulse
//! * [`commands`]: the verbs and their requests and replies
//! * [`codec`]: JSON or MessagePack, chosen by the first byte
//! * [`tree_text`]: draws a supervision tree, declared or live
pub mod codec;
pub mod commands;
pub mod desired;
pub mod device;
pub mod names;
pub mod state;
pub mod time;
pub mod tree_text;

pub use names::{DeploymentName, DeviceId, NameError, ServiceName, ValueName};
pub use time::Timestamp;
