//! Decisions, and nothing else: no async, no clock, no I/O, no ractor.
//!
//! * [`book`]: all deployments: accepted, durable, told
//! * [`judge`]: what a snapshot or a hint of the bucket authorises
//! * [`hidden`]: bytes that nobody sees by accident
//! * [`identity`]: whether another device goes by this one's name
//! * [`plan`]: the next step of one service slot
//! * [`order`]: which service comes before which
//! * [`health`]: whether a service works, by its own check
//! * [`memory`], [`backoff`]: what a slot remembers between steps, and how long it waits
//! * [`picture`]: one deployment: its slots, what is seen in them, what is being done
//! * [`preview`]: what a document would change
//! * [`report`], [`overlay`]: from slots to the published state
pub mod backoff;
pub mod book;
pub mod container;
pub mod desired;
pub mod floor;
pub mod health;
pub mod hidden;
pub mod identity;
pub mod images;
pub mod jobs;
pub mod judge;
pub mod ledger;
pub mod memory;
pub mod order;
pub mod overlay;
pub mod picture;
pub mod plan;
pub mod preview;
pub mod report;
pub mod source;
pub mod spec;
pub mod time;
