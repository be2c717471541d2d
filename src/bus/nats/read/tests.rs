use super::*;
use crate::domain::source::Incarnation;
use fleet_contracts::Timestamp;

fn facts(incarnation: &str, keys: &[&str]) -> Facts {
    let subjects = keys.iter().map(|key| subject_of("b", key)).collect();
    Facts { incarnation: Incarnation(incarnation.into()), last_sequence: 9, subjects }
}

fn entry(key: &str, revision: u64, operation: Operation) -> Entry {
    Entry { key: key.into(), revision, written_at: Timestamp::from_unix_seconds(0).unwrap(), operation }
}

fn read(keys: &[&str]) -> Entries {
    let mut entries = Entries::default();
    keys.iter().for_each(|key| entries.insert(entry(key, 1, Operation::Removed)));
    entries
}

#[test]
fn a_bucket_that_was_replaced_while_it_was_read_is_no_snapshot() {
    let error = complete("b", &facts("1", &["a"]), &facts("2", &["a"]), &read(&["a"])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::WatchLost);
}

#[test]
fn a_key_that_was_there_all_along_and_did_not_come_is_no_snapshot() {
    let error = complete("b", &facts("1", &["a", "b"]), &facts("1", &["a", "b"]), &read(&["b"])).unwrap_err();
    assert!(error.message.contains("$KV.b.a"), "{error}");
}

#[test]
fn keys_that_came_or_went_meanwhile_are_no_reason_to_refuse() {
    let (before, after) = (facts("1", &["a", "gone"]), facts("1", &["a", "new"]));
    assert!(complete("b", &before, &after, &read(&["a"])).is_ok());
}

#[test]
fn only_values_at_their_known_revision_are_known() {
    let put = || Operation::Put([].into());
    let known = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1), ("c".to_owned(), 3)]);
    let mut entries = [entry("a", 1, put()), entry("b", 2, put()), entry("c", 3, Operation::Removed)];
    assert!(!mark_known(&mut entries, &known));
    let operations = entries.map(|e| e.operation);
    assert_eq!(operations, [Operation::Known, put(), Operation::Removed]);
}
