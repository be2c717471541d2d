use super::*;
use crate::domain::container::SpecDigest;
use crate::domain::jobs::End;

fn at() -> Timestamp {
    Timestamp::from_unix_seconds(1_900_000_000).unwrap()
}

fn report(revision: u64, code: i64) -> Report {
    let end = End { digest: SpecDigest::from_hex("ab"), code, said: None };
    let ends = BTreeMap::from([("a".parse().unwrap(), end)]);
    Report { revision, phase: Phase::Completed, error: None, services: BTreeMap::new(), ends }
}

#[test]
fn the_end_of_a_job_is_durable_before_it_is_told() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    book.changes(at());
    book.reported(&name(), report(1, 0));
    let note = book.note_ends(&name(), at()).unwrap();
    assert_eq!(book.note_ends(&name(), at()), None, "once");
    assert!(book.changes(at()).is_empty());
    assert_eq!(book.saved(note.clone()), None);
    assert_eq!(book.changes(at())[0].phase, Phase::Completed);
    let Some(Duty::Run(wanted)) = book.duty(&name()) else { panic!("it is there") };
    assert_eq!(wanted.ends.len(), 1, "a reconciler that is new has to know");
    let mut next = super::book(vec![note]);
    next.reported(&name(), report(1, 0));
    assert_eq!(next.note_ends(&name(), at()), None);
}

#[test]
fn the_end_of_a_job_is_told_although_it_cannot_be_noted() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    book.reported(&name(), report(1, 0));
    book.note_ends(&name(), at()).unwrap();
    book.not_noted();
    assert_eq!(book.changes(at())[0].phase, Phase::Completed);
}

#[test]
fn an_end_is_forgotten_with_the_deployment_and_kept_over_other_documents() {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    book.reported(&name(), report(1, 3));
    let note = book.note_ends(&name(), at()).unwrap();
    book.saved(note);
    assert_eq!(put(&mut book, "b", 2).ends.len(), 1);
    // Told before the newer document was known: about another one.
    book.reported(&name(), report(1, 4));
    assert_eq!(book.note_ends(&name(), at()), None);
    let removal = Entry { operation: Operation::Removed, ..entry("b", 3) };
    let removed = book.hint(&removal).unwrap().records.remove(0);
    assert!(removed.ends.is_empty());
    book.saved(removed);
    book.reported(&name(), report(2, 3));
    assert_eq!(book.note_ends(&name(), at()), None);
}

/// Its record would take the place of the newer one, and be taken for it at the next start.
#[test]
fn nothing_is_noted_in_a_record_that_may_be_older_than_what_was_acted_on() {
    let record = put(&mut book(vec![]), "a", 1);
    let doubtful = BTreeSet::from([name()]);
    let mut book = book_of(Ledger { records: vec![record], doubtful, ..Ledger::default() }, reading());
    book.reported(&name(), report(1, 0));
    assert_eq!(book.note_ends(&name(), at()), None);
}
