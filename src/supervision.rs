//! How restarts work. Knows ractor and nothing of fleets; nothing outside this module names ractor.
//!
//! A tree is data ([`SupervisorSpec`]); [`run_root`] brings it up. Supervisors own slots: a slot keeps its
//! place, its [`Address`] and its history while incarnations come and go. What runs now is read from the
//! [`Board`], which the running supervisors write.
mod address;
mod backoff;
mod board;
mod budget;
mod context;
mod crew;
mod failure;
mod keyed;
mod launch;
mod live;
mod node;
mod root;
mod slot;
mod spec;
mod supervisor;
mod worker;

pub use address::{Address, AskError, Reply};
pub use board::{Board, RestartError, RestartOutcome, Stuck};
pub use budget::Budget;
pub use context::{Context, TaskId};
pub use failure::{Fault, caught, panic_text};
pub use keyed::Keyed;
pub use root::{Ended, Root, run_root, run_root_watched};
pub use spec::{ChildSpec, Ending, KeyedSpec, Strategy, SupervisorSpec, keyed, supervisor, worker};
pub use worker::Worker;

#[cfg(test)]
mod tests;
