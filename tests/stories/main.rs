//! The whole agent on fakes, in paused time: every actor and every decision, none of the world.
//! Each story ends with a look at the fake runtime's list of broken promises (see `harness`).
#![allow(clippy::unwrap_used, clippy::panic)]

mod documents;
mod hands;
mod harness;
mod health;
mod world;

mod actors;
mod bombs;
mod chaos;
mod convergence;
mod crash_loop;
mod crashes;
mod files;
mod identity;
mod images;
mod isolation;
mod jobs;
mod ledger;
mod many;
mod offline;
mod order;
mod panics;
mod poison;
mod pulls;
mod reconcile;
mod reporting;
mod runtime_faults;
mod secrets;
mod source;
mod updates;
mod watchdog;
