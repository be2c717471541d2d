//! How jobs ended. A job runs once per spec, also when its container is not there any more to tell of it.
use super::container::SpecDigest;
use fleet_contracts::{ServiceName, Timestamp};
use std::collections::BTreeMap;

/// The end of a job of one spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub digest: SpecDigest,
    pub code: i64,
    /// What it said last, where that was asked for.
    pub said: Option<String>,
}

/// An end, and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub end: End,
    pub at: Timestamp,
}

/// The last end of each job of a deployment.
pub type Ends = BTreeMap<ServiceName, Noted>;
