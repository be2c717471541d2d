use super::*;
use crate::domain::container::{ContainerId, OwedStart};
use crate::domain::ledger::Ledger;
use crate::domain::source::Incarnation;

fn name() -> DeploymentName {
    "web".parse().unwrap()
}

fn document(image: &str) -> Vec<u8> {
    format!(r#"{{"type":"PodmanV0","data":{{"services":[{{"name":"a","image":"{image}"}}]}}}}"#).into_bytes()
}

fn entry(image: &str, revision: u64) -> Entry {
    let written_at = Timestamp::from_unix_seconds(1_800_000_000 + i64::try_from(revision).unwrap()).unwrap();
    Entry { key: "d1.web".into(), revision, written_at, operation: Operation::Put(document(image).into()) }
}

/// A book of the next process: with what was durable in the one before.
fn book(records: Vec<Record>) -> Book {
    book_of(Ledger { records, ..Ledger::default() }, reading())
}

fn book_of(ledger: Ledger, reading: Reading) -> Book {
    let followed = Some(Followed::new(Incarnation("i".into()), 0));
    Book::new("d1".parse().unwrap(), Ledger { followed, ..ledger }, reading)
}

fn reading() -> Reading {
    Reading {
        read: |_, document, revision| Wanted::read(document, revision).map_err(Unread::Refused),
        shunned: Default::default(),
    }
}

fn put(book: &mut Book, image: &str, revision: u64) -> Record {
    let record = book.hint(&entry(image, revision)).unwrap().records.remove(0);
    book.saved(record.clone());
    record
}

/// What a reconciler tells of the first revision.
fn told_running() -> Report {
    let (services, ends) = (BTreeMap::new(), BTreeMap::new());
    Report { revision: 1, phase: Phase::Running, error: None, services, ends }
}

fn state(book: &mut Book) -> DeploymentState {
    let at = Timestamp::from_unix_seconds(1_900_000_000).unwrap();
    book.changes(at);
    book.states().next().unwrap().clone()
}

fn code(book: &mut Book) -> Option<Code> {
    state(book).last_error.map(|error| error.code)
}

#[test]
fn a_document_that_ends_the_process_twice_is_nobodys_duty_any_more() {
    let mut record = put(&mut book(vec![]), "a", 1);
    for end in 1..=2 {
        let mut next = book(vec![record.clone()]);
        record = next.blame(&name(), "aborted by SIGABRT").unwrap();
        assert_eq!(next.duty(&name()), None, "not before the count is durable");
        let duty = next.saved(record.clone());
        assert_eq!(duty.is_some(), end == 1);
        assert_eq!(next.is_quarantined(&name()), end == 2);
    }
    let mut next = book(vec![record]);
    assert_eq!(next.duty(&name()), None);
    next.listed(&BTreeMap::new(), &BTreeSet::new());
    let state = state(&mut next);
    assert_eq!((state.phase, state.observed_revision), (Phase::Failed, Some(1)));
    let error = state.last_error.unwrap();
    assert_eq!((error.code, error.retry_at), (Code::Quarantined, None));
    for word in ["revision 1", "2 times", "SIGABRT", "fleetctl reconcile"] {
        assert!(error.message.contains(word), "{}", error.message);
    }
}

#[test]
fn a_document_whose_reconciler_is_given_up_is_in_quarantine_at_once_and_stays_there() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    let record = book.parked(&name(), "panic: index out of bounds").unwrap();
    assert_eq!(code(&mut book), None, "not before it is durable");
    assert_eq!(book.saved(record), None);
    assert_eq!(code(&mut book), Some(Code::Quarantined));
    // The same bytes again are the same document.
    let again = put(&mut book, "a", 2);
    assert!(again.trial.quarantined.is_some());
    assert_eq!((code(&mut book), book.duty(&name())), (Some(Code::Quarantined), None));
    assert_eq!(state(&mut book).observed_revision, Some(2));
}

#[test]
fn another_document_ends_the_quarantine_and_so_does_a_request() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    let record = book.parked(&name(), "panic").unwrap();
    book.saved(record);
    let record = book.release(&name()).unwrap();
    assert!(book.saved(record).is_some());
    assert_eq!((code(&mut book), book.release(&name())), (None, None));
    let record = book.parked(&name(), "panic").unwrap();
    book.saved(record);
    put(&mut book, "b", 2);
    assert_eq!(code(&mut book), None);
    assert!(book.duty(&name()).is_some());
}

#[test]
fn a_removal_is_carried_out_whatever_the_document_did() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    let record = book.parked(&name(), "panic").unwrap();
    book.saved(record);
    let removed = Entry { operation: Operation::Removed, ..entry("a", 2) };
    let record = book.hint(&removed).unwrap().records.remove(0);
    assert_eq!(book.saved(record.clone()), Some(Duty::Vanish));
    assert_eq!(code(&mut book), None);
    // Also when the document had ended the process before its removal was carried out.
    let mut next = self::book(vec![record]);
    assert_eq!(next.blame(&name(), "aborted"), None);
    assert_eq!(next.duty(&name()), Some(Duty::Vanish));
}

#[test]
fn a_newer_document_is_not_blamed_for_the_crashes_of_the_one_before() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    let newer = book.hint(&entry("b", 2)).unwrap().records.remove(0);
    assert_eq!(book.parked(&name(), "panic"), None);
    assert!(book.saved(newer).is_some());
}

#[test]
fn one_end_is_forgotten_with_the_document_that_caused_it() {
    let mut record = put(&mut book(vec![]), "a", 1);
    let mut next = book(vec![record]);
    let blamed = next.blame(&name(), "aborted").unwrap();
    next.saved(blamed);
    record = put(&mut next, "b", 2);
    assert_eq!(record.trial, Trial::default());
}

fn names() -> Vec<DeploymentName> {
    vec![name()]
}

fn empty() -> Snapshot {
    Snapshot { incarnation: Incarnation("i".into()), last_sequence: 9, entries: vec![] }
}

#[test]
fn a_held_removal_can_be_confirmed_whatever_became_of_the_last_put() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    let bad = Entry { operation: Operation::Put((*b"no document").into()), ..entry("b", 2) };
    book.hint(&bad).unwrap();
    assert_eq!(code(&mut book), Some(Code::InvalidSpec));
    assert!(book.confirm(&names()).is_err(), "its key is there");
    book.snapshot(&empty());
    assert_eq!((code(&mut book), book.has_held()), (Some(Code::RemovalHeld), true));
    let record = book.confirm(&names()).unwrap().remove(0);
    assert_eq!(book.saved(record), Some(Duty::Vanish));
    assert!(!book.has_held());
}

#[test]
fn a_held_removal_of_what_is_in_quarantine_is_told_as_quarantine_and_can_be_confirmed() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    book.snapshot(&empty());
    let record = book.parked(&name(), "it panicked").unwrap();
    book.saved(record);
    assert_eq!((code(&mut book), book.has_held()), (Some(Code::Quarantined), true));
    book.snapshot(&empty());
    assert_eq!(code(&mut book), Some(Code::Quarantined));
    assert_eq!(book.confirm(&names()).unwrap().len(), 1);
}

#[test]
fn a_refused_document_under_a_held_key_ends_the_hold() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    book.snapshot(&empty());
    let bad = Entry { operation: Operation::Put((*b"no document").into()), ..entry("b", 12) };
    book.hint(&bad).unwrap();
    assert_eq!((code(&mut book), book.has_held()), (Some(Code::InvalidSpec), false));
    assert!(book.confirm(&names()).is_err());
}

#[test]
fn what_the_ledger_holds_is_told_when_its_reconciler_has_looked() {
    let record = put(&mut book(vec![]), "a", 1);
    let mut next = book(vec![record]);
    let at = Timestamp::from_unix_seconds(1_900_000_000).unwrap();
    assert_eq!((next.changes(at), next.counts().total), (vec![], 1));
    next.reported(&name(), told_running());
    assert_eq!(state(&mut next).phase, Phase::Running);
}

/// The bucket's last word stands, whatever the disk still had to write of the words before.
#[test]
fn a_refusal_outlives_the_write_of_what_was_accepted_before_it() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    let second = book.hint(&entry("b", 2)).unwrap().records.remove(0);
    let refused = Entry { operation: Operation::Put(b"{".to_vec().into()), ..entry("c", 3) };
    assert!(book.hint(&refused).unwrap().records.is_empty());
    assert!(book.saved(second).is_some());
    assert_eq!(code(&mut book), Some(Code::InvalidSpec));
    put(&mut book, "d", 4);
    assert_eq!(code(&mut book), None);
    // A removal is on its way to the disk, and a bad document comes.
    let removal = Entry { operation: Operation::Removed, ..entry("d", 5) };
    let removed = book.hint(&removal).unwrap().records.remove(0);
    book.hint(&Entry { revision: 6, ..refused }).unwrap();
    book.saved(removed);
    assert!(book.objects_to(&name()));
}

/// A document that is put while a service is being stopped for its health.
#[test]
fn what_is_owed_to_a_run_is_owed_under_the_next_document_too() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    let start = OwedStart { id: ContainerId::new("1"), started_at: Timestamp::from_unix_seconds(1).unwrap() };
    let owing = book.owes(&name(), "a".parse().unwrap(), Some(start.clone())).unwrap();
    let task = book.task(&name());
    assert!(book.saved(owing).is_some());
    assert_eq!(book.task(&name()), task, "a note is no other task");
    let next = put(&mut book, "b", 2);
    assert_eq!(next.trial.owed.values().collect::<Vec<_>>(), [&start]);
    assert_ne!(book.task(&name()), task);
    let removal = Entry { operation: Operation::Removed, ..entry("b", 3) };
    assert!(book.hint(&removal).unwrap().records[0].trial.owed.is_empty());
}

mod alone;
mod delivery;
mod doubt;
mod jobs;
mod restored;
mod room;
mod trials;
