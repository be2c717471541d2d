//! fleet-agent: keeps containers running on a device as its fleet's owner wants them.
//!
//! Decisions are pure functions in [`domain`]; actors own state and time and move messages; adapters
//! ([`runtime`], [`bus`], [`store`], [`credentials`]) speak to the world behind narrow traits.
//! ARCHITECTURE.md is the map.
pub mod actors;
pub mod app;
pub mod bus;
pub mod config;
pub mod credentials;
pub mod domain;
pub mod faults;
pub mod heap;
pub mod inventory;
pub mod messages;
pub mod questions;
pub mod runtime;
pub mod store;
pub mod supervision;
pub mod systemd;
pub mod telemetry;
pub mod tree;
pub mod vault;
pub mod watchdog;
