//! A restored backup of the bucket, in which what was removed and forgotten since is still there.
use super::*;

fn marker(revision: u64) -> Entry {
    Entry { operation: Operation::Removed, ..entry("a", revision) }
}

fn snapshot(last_sequence: u64, entries: Vec<Entry>) -> Snapshot {
    Snapshot { incarnation: Incarnation("i".into()), last_sequence, entries }
}

/// Put at 9, deleted at 50, nothing left; all of it told by the watch. With what was on the disk when the record was
/// forgotten.
fn forgotten() -> (Book, Followed) {
    let mut book = book(vec![]);
    put(&mut book, "a", 9);
    let removal = book.hint(&marker(50)).unwrap().records.remove(0);
    book.saved(removal);
    let durable = book.followed().unwrap().clone();
    assert!(book.forgotten(&name()));
    (book, durable)
}

fn restarted(followed: Followed, records: Vec<Record>) -> Book {
    Book::new(
        "d1".parse().unwrap(),
        Ledger { followed: Some(followed), records, ..Ledger::default() },
        reading(),
    )
}

fn is_held(book: &mut Book) {
    let judged = book.snapshot(&snapshot(30, vec![entry("a", 9)]));
    assert!(judged.records.is_empty());
    assert_eq!(judged.followed.as_ref(), book.followed(), "the new life is written down");
    assert_eq!((state(book).phase, code(book)), (Phase::Held, Some(Code::StaleRevision)));
    assert!(book.is_source_reset() && book.duty(&name()).is_none());
}

#[test]
fn what_was_removed_and_forgotten_is_held_until_it_is_written_again_or_deleted() {
    let (mut book, _) = forgotten();
    is_held(&mut book);
    let again = Entry { revision: 31, ..entry("a", 60) };
    let record = book.hint(&again).unwrap().records.remove(0);
    assert!(matches!(book.saved(record), Some(Duty::Run(_))));
    assert!(!book.is_source_reset() && code(&mut book).is_none());

    let (mut book, _) = forgotten();
    is_held(&mut book);
    let deleted = Entry { revision: 31, ..marker(60) };
    assert_eq!(book.hint(&deleted).unwrap().gone, names());
    assert!(!book.is_source_reset());
}

#[test]
fn the_same_after_a_restart_although_the_disk_had_heard_of_no_hint() {
    let (_, durable) = forgotten();
    is_held(&mut restarted(durable, vec![]));
    // And after one more, in the life that began with it.
    let (_, durable) = forgotten();
    let mut first = restarted(durable, vec![]);
    is_held(&mut first);
    let mut second = restarted(first.followed().unwrap().clone(), vec![]);
    second.snapshot(&snapshot(31, vec![entry("a", 9)]));
    assert_eq!(code(&mut second), Some(Code::StaleRevision));
}

/// The disk knows the bucket as it was first seen; what hints told is only in the records.
#[test]
fn after_a_restart_a_reset_shows_by_the_records_of_what_was_acted_on() {
    let other = Record { name: "other".parse().unwrap(), ..put(&mut book(vec![]), "a", 55) };
    let mut next = restarted(Followed::new(Incarnation("i".into()), 10), vec![other]);
    let kept = Entry { key: "d1.other".into(), ..entry("a", 55) };
    next.snapshot(&snapshot(30, vec![entry("a", 9), kept]));
    let held = next.known[&name()].objection.as_ref().map(|objection| objection.code);
    assert_eq!(held, Some(Code::StaleRevision));
    assert!(next.is_source_reset());
}

/// It was put and deleted while the device was away: all that it saw is the marker.
#[test]
fn a_marker_of_what_was_never_seen_counts_too() {
    let mut book = book(vec![]);
    book.snapshot(&snapshot(50, vec![marker(50)]));
    is_held(&mut book);
}

/// No record tells it, and the disk must.
#[test]
fn what_only_a_marker_tells_is_written_down_once() {
    let mut book = book(vec![]);
    let judged = book.snapshot(&snapshot(50, vec![marker(50)]));
    assert_eq!(judged.followed.as_ref(), book.followed());
    is_held(&mut restarted(judged.followed.unwrap(), vec![]));
    assert_eq!(book.snapshot(&snapshot(50, vec![marker(50)])).followed, None);
    let judged = book.hint(&marker(60)).unwrap();
    assert_eq!(judged.followed.as_ref(), book.followed());
    is_held(&mut restarted(judged.followed.unwrap(), vec![]));
    assert_eq!(book.hint(&marker(60)).unwrap().followed, None);
}

#[test]
fn a_marker_of_what_has_a_record_is_told_by_the_record() {
    let mut book = book(vec![]);
    put(&mut book, "a", 9);
    let judged = book.hint(&marker(50)).unwrap();
    assert_eq!((judged.records.len(), judged.followed), (1, None));
}
