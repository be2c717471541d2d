//! Decisions, and nothing else: no async, no clock, no I/O, no ractor.
pub mod container;
pub mod ledger;
pub mod source;
pub mod spec;
