//! More than one device takes.
use super::*;
use crate::domain::book::room::{MAX_BYTES, MAX_DEPLOYMENTS, makes_room};

fn named(n: usize) -> DeploymentName {
    format!("n{n}").parse().unwrap()
}

fn entry_of(n: usize, revision: u64, operation: Operation) -> Entry {
    Entry { key: format!("d1.n{n}"), operation, ..entry("a", revision) }
}

/// A document of `bytes` bytes.
fn large(bytes: usize) -> Operation {
    let (head, tail) = (document("a"), br#"}"#);
    let mut text = head[..head.len() - tail.len()].to_vec();
    text.resize(bytes - tail.len(), b' ');
    text.extend_from_slice(tail);
    Operation::Put(text.into())
}

fn small() -> Operation {
    Operation::Put(document("a").into())
}

fn snapshot(entries: Vec<Entry>) -> Snapshot {
    let last_sequence = entries.iter().map(|entry| entry.revision).max().unwrap_or(0);
    Snapshot { incarnation: Incarnation("i".into()), last_sequence, entries }
}

/// Names that were accepted, in their order.
fn taken(book: &mut Book, entries: Vec<Entry>) -> Vec<DeploymentName> {
    let records = book.snapshot(&snapshot(entries)).records;
    records.iter().for_each(|record| _ = book.saved(record.clone()));
    records.into_iter().map(|record| record.name).collect()
}

fn why(book: &Book, n: usize) -> Option<&Objection> {
    book.known.get(&named(n))?.objection.as_ref()
}

fn is_refused(book: &Book, n: usize) -> bool {
    why(book, n).is_some_and(|why| why.code == Code::InvalidSpec && why.message.contains("no room"))
}

/// Two more than fit, the last written named first.
fn crowd() -> Vec<Entry> {
    let last = MAX_DEPLOYMENTS + 2;
    (0..last).map(|n| entry_of(n, (last - n) as u64, small())).collect()
}

#[test]
fn of_more_deployments_than_a_device_takes_the_first_written_are_taken_and_the_others_refused_by_name() {
    let mut book = book(vec![]);
    let names = taken(&mut book, crowd());
    assert_eq!(names.len(), MAX_DEPLOYMENTS);
    assert!(is_refused(&book, 0) && is_refused(&book, 1) && !is_refused(&book, 2));
    assert!(why(&book, 0).unwrap().message.contains(&format!("revision {}: ", MAX_DEPLOYMENTS + 2)));
}

#[test]
fn the_same_are_refused_after_a_restart_and_what_is_accepted_may_change() {
    let mut before = book(vec![]);
    taken(&mut before, crowd());
    let mut next = book(before.records.values().cloned().collect());
    assert_eq!(taken(&mut next, crowd()), []);
    assert!(is_refused(&next, 0) && is_refused(&next, 1) && !is_refused(&next, 2));
    let changed = entry_of(9, 1000, Operation::Put(document("b").into()));
    assert_eq!(next.hint(&changed).unwrap().records.len(), 1);
}

#[test]
fn what_was_refused_is_taken_when_there_is_room() {
    let mut book = book(vec![]);
    taken(&mut book, crowd());
    let gone = book.hint(&entry_of(9, 1000, Operation::Removed)).unwrap();
    assert!(makes_room(&gone) && book.was_crowded());
    assert!(!book.was_crowded(), "once");
    let never_taken = book.hint(&entry_of(9999, 1001, Operation::Removed)).unwrap();
    assert!(makes_room(&never_taken), "an update may have been left out for it");
    assert!(!makes_room(&Judged::default()));
    let mut now = crowd();
    now.push(entry_of(9999, 1001, Operation::Removed));
    now[9] = entry_of(9, 1000, Operation::Removed);
    assert_eq!(taken(&mut book, now), [named(1)]);
    assert!(is_refused(&book, 0) && why(&book, 1).is_none());
}

#[test]
fn documents_larger_in_all_than_a_device_takes_are_refused_and_one_that_does_not_grow_is_not() {
    const EACH: usize = 256 * 1024;
    let mut book = book(vec![]);
    let fit = MAX_BYTES / EACH;
    let names = taken(&mut book, (0..fit + 1).map(|n| entry_of(n, n as u64 + 1, large(EACH))).collect());
    assert_eq!((names.len(), is_refused(&book, fit)), (fit, true));
    assert!(book.hint(&entry_of(fit + 1, 1000, small())).unwrap().records.is_empty());
    let same = book.hint(&entry_of(0, 1001, large(EACH))).unwrap().records;
    assert_eq!(same.len(), 1);
    assert_eq!(book.hint(&entry_of(1, 1002, small())).unwrap().records.len(), 1);
    // Now there is room for one that is as small.
    assert_eq!(book.hint(&entry_of(fit + 1, 1003, small())).unwrap().records.len(), 1);
}

#[test]
fn what_was_accepted_stays_although_a_newer_document_of_it_was_not_read() {
    let mut book = book(vec![]);
    taken(&mut book, vec![entry_of(0, 1, small())]);
    assert_eq!(taken(&mut book, vec![entry_of(0, 1, Operation::LeftOut)]), []);
    assert_eq!(why(&book, 0), None);
    assert_eq!(taken(&mut book, vec![entry_of(0, 7, Operation::LeftOut)]), []);
    assert!(is_refused(&book, 0) && matches!(book.duty(&named(0)), Some(Duty::Run(_))));
}

#[test]
fn however_many_are_refused_only_so_many_are_told_of() {
    let mut book = book(vec![]);
    let many = 10 * MAX_DEPLOYMENTS;
    taken(&mut book, (0..many).map(|n| entry_of(n, n as u64 + 1, small())).collect());
    assert_eq!(book.changes(Timestamp::from_unix_seconds(1_900_000_000).unwrap()).len(), 2 * MAX_DEPLOYMENTS);
}

/// With podman away no removal ends: a pipeline that puts and deletes must not fill the device.
#[test]
fn what_is_being_removed_is_counted_too() {
    let mut book = book(vec![]);
    let mut revision = 0;
    let mut next = |operation: Operation, n: usize| {
        revision += 1;
        entry_of(n, revision, operation)
    };
    for n in 0..2 * MAX_DEPLOYMENTS {
        for operation in [small(), Operation::Removed] {
            let record = book.hint(&next(operation, n)).unwrap().records.remove(0);
            book.saved(record);
        }
    }
    let one_more = 2 * MAX_DEPLOYMENTS;
    assert!(book.hint(&next(small(), one_more)).unwrap().records.is_empty());
    assert!(is_refused(&book, one_more));
    assert!(book.forgotten(&named(0)));
    assert_eq!(book.hint(&next(small(), one_more)).unwrap().records.len(), 1);
}
