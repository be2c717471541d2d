//! What is wrong with the device as a whole, in stable words.
use crate::domain::book::Book;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub struct Reasons {
    /// Files of the ledger that could not be read, until they are written again.
    pub lost: BTreeSet<String>,
    pub disk_failing: bool,
    pub runtime_unreachable: bool,
    pub source_missing: bool,
    pub bad_keys: BTreeSet<String>,
}

impl Reasons {
    /// Most important first; a heartbeat has room for the first four.
    pub fn words(&self, book: Option<&Book>, held: bool) -> Vec<&'static str> {
        let all = [
            (held, "crash-loop"),
            (!self.lost.is_empty(), "state-quarantined"),
            (self.disk_failing, "state-not-writable"),
            (self.runtime_unreachable, "runtime-unreachable"),
            (self.source_missing, "source-missing"),
            (book.is_some_and(Book::is_source_reset), "source-reset"),
            (book.is_some_and(Book::has_held), "removal-held"),
            (!self.bad_keys.is_empty(), "invalid-key"),
        ];
        all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect()
    }
}
