//! The newer copy of a record cannot be read: the older one must not bring back what was replaced since.
use super::*;

fn damaged(record: Record) -> Book {
    let doubtful = [record.name.clone()].into();
    book_of(Ledger { records: vec![record], doubtful, ..Ledger::default() }, reading())
}

fn is_doubtful(book: &Book) -> bool {
    matches!(book.duty(&name()), Some(Duty::Run(wanted)) if wanted.doubtful)
}

fn snapshot(entries: Vec<Entry>) -> Snapshot {
    Snapshot { incarnation: Incarnation("i".into()), last_sequence: 9, entries }
}

fn told(book: &mut Book) -> (Phase, Option<Code>) {
    let report = told_running();
    book.reported(&name(), report);
    let state = state(book);
    (state.phase, state.last_error.map(|error| error.code))
}

#[test]
fn an_older_record_is_only_kept_up_until_the_bucket_confirms_it() {
    let record = put(&mut book(vec![]), "a", 1);
    let mut next = damaged(record.clone());
    assert!(is_doubtful(&next));
    assert_eq!(told(&mut next), (Phase::Held, Some(Code::StaleRevision)));
    let judged = next.snapshot(&snapshot(vec![entry("a", 1)]));
    assert_eq!(judged.records, std::slice::from_ref(&record), "both copies are good again");
    assert!(is_doubtful(&next), "not before it is durable");
    assert!(next.saved(record).is_some() && !is_doubtful(&next));
    assert_eq!(told(&mut next), (Phase::Running, None));
}

#[test]
fn a_newer_document_ends_the_doubt_and_an_older_one_or_another_bucket_does_not() {
    let record = put(&mut book(vec![]), "a", 4);
    let mut next = damaged(record.clone());
    assert_eq!(next.snapshot(&snapshot(vec![entry("a", 3)])).records, []);
    assert!(is_doubtful(&next));
    let mut next = damaged(record.clone());
    let another = Snapshot { incarnation: Incarnation("other".into()), ..snapshot(vec![]) };
    assert_eq!(next.snapshot(&another).records, []);
    assert!(is_doubtful(&next));
    let mut next = damaged(record);
    let newer = next.snapshot(&snapshot(vec![entry("b", 5)])).records.remove(0);
    assert!(next.saved(newer).is_some() && !is_doubtful(&next));
}

/// The value was told to who asked before.
#[test]
fn a_newer_document_whose_value_is_not_sent_again_does_not_end_the_doubt() {
    let record = put(&mut book(vec![]), "a", 4);
    let known = |revision| Entry { operation: Operation::Known, ..entry("a", revision) };
    let mut next = damaged(record.clone());
    assert_eq!(next.snapshot(&snapshot(vec![known(5)])).records, []);
    assert!(is_doubtful(&next));
    assert_eq!(next.snapshot(&snapshot(vec![known(4)])).records, std::slice::from_ref(&record));
    let removed = Entry { operation: Operation::Removed, ..entry("a", 5) };
    let removal = Record { revision: 5, wanted: ledger::Wanted::Removed, ..record };
    let mut next = damaged(removal.clone());
    assert_eq!(next.snapshot(&snapshot(vec![known(6)])).records, []);
    let later = Entry { revision: 7, ..removed };
    assert_eq!(next.snapshot(&snapshot(vec![later])).records, [removal], "it is removed, however often");
}

/// It may have been wanted again since.
#[test]
fn an_older_removal_is_not_carried_out_before_the_bucket_confirms_it() {
    let mut before = book(vec![]);
    put(&mut before, "a", 1);
    let removed = Entry { operation: Operation::Removed, ..entry("a", 2) };
    let record = before.hint(&removed).unwrap().records.remove(0);
    let mut next = damaged(record.clone());
    assert_eq!(next.duty(&name()), None);
    assert_eq!(next.snapshot(&snapshot(vec![removed])).records, std::slice::from_ref(&record));
    assert_eq!(next.saved(record.clone()), Some(Duty::Vanish));
    let mut next = damaged(record);
    let newer = next.snapshot(&snapshot(vec![entry("b", 5)])).records.remove(0);
    assert!(matches!(next.saved(newer), Some(Duty::Run(_))));
}

/// Its record would become the newest copy, and be taken for what was accepted last.
#[test]
fn nothing_is_written_into_an_older_record_but_that_it_ended_the_process() {
    let record = put(&mut book(vec![]), "a", 1);
    let mut next = damaged(record);
    let start = OwedStart { id: ContainerId::new("1"), started_at: Timestamp::from_unix_seconds(1).unwrap() };
    assert_eq!(next.owes(&name(), "a".parse().unwrap(), Some(start)), None);
    assert_eq!(next.parked(&name(), "it panicked"), None);
    assert!(next.blame(&name(), "aborted").is_some());
}
