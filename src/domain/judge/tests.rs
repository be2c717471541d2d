use super::*;
use crate::domain::ledger::Wanted;
use crate::domain::source::Incarnation;
use fleet_contracts::Timestamp;

const BUCKET: &str = "2026-01-01T00:00:00Z";

fn device() -> DeviceId {
    "d1".parse().unwrap()
}

fn name(text: &str) -> DeploymentName {
    text.parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000 + seconds).unwrap()
}

fn life(text: &str) -> Incarnation {
    Incarnation(text.into())
}

/// Written at the second that equals its revision.
fn put(deployment: &str, revision: u64) -> Entry {
    Entry {
        key: format!("d1.{deployment}"),
        revision,
        written_at: at(revision as i64),
        operation: Operation::Put(format!("document {revision}").into_bytes().into()),
    }
}

fn marker(deployment: &str, revision: u64) -> Entry {
    Entry { operation: Operation::Removed, ..put(deployment, revision) }
}

fn record(deployment: &str, revision: u64) -> Record {
    Record {
        name: name(deployment),
        revision,
        written_at: at(revision as i64),
        incarnation: life(BUCKET),
        wanted: Wanted::Present(format!("document {revision}").into_bytes().into()),
        trial: Default::default(),
        ends: Default::default(),
    }
}

fn records(all: &[Record]) -> Records {
    all.iter().map(|record| (record.name.clone(), record.clone())).collect()
}

fn followed(last_sequence: u64) -> Followed {
    Followed::new(life(BUCKET), last_sequence)
}

fn seen(last_sequence: u64, entries: &[Entry]) -> Snapshot {
    Snapshot { incarnation: life(BUCKET), last_sequence, entries: entries.to_vec() }
}

fn judge(ledger: &[Record], before: Option<Followed>, now: &Snapshot) -> Ruling {
    snapshot(&device(), &records(ledger), before.as_ref(), now)
}

fn accepted(ruling: &Ruling) -> Vec<&str> {
    let chosen = ruling.verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Accept(_)));
    chosen.map(|(name, _)| name.as_str()).collect()
}

fn removed(ruling: &Ruling) -> Vec<&str> {
    let chosen = ruling.verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Remove(_)));
    chosen.map(|(name, _)| name.as_str()).collect()
}

fn held(ruling: &Ruling) -> Vec<&str> {
    ruling.held.iter().map(DeploymentName::as_str).collect()
}

#[test]
fn a_new_device_accepts_what_it_finds() {
    let ruling = judge(&[], None, &seen(9, &[put("web", 4), put("db", 9)]));
    assert_eq!(accepted(&ruling), ["db", "web"]);
    assert!(!ruling.source_reset);
    assert_eq!(ruling.followed, followed(9));
}

#[test]
fn a_revision_that_was_acted_on_is_nothing_and_a_newer_one_is_accepted() {
    let ledger = [record("web", 4), record("db", 5)];
    let ruling = judge(&ledger, Some(followed(5)), &seen(8, &[put("web", 4), put("db", 8)]));
    assert_eq!(ruling.verdicts[&name("web")], Verdict::Nothing);
    assert_eq!(accepted(&ruling), ["db"]);
}

#[test]
fn a_delete_marker_removes_also_when_it_was_set_while_away() {
    let ruling = judge(&[record("web", 4)], Some(followed(4)), &seen(7, &[marker("web", 7)]));
    assert_eq!(removed(&ruling), ["web"]);
}

#[test]
fn all_delete_markers_are_obeyed_however_many() {
    let ledger = [record("a", 1), record("b", 2), record("c", 3)];
    let ruling =
        judge(&ledger, Some(followed(3)), &seen(6, &[marker("a", 4), marker("b", 5), marker("c", 6)]));
    assert_eq!(removed(&ruling), ["a", "b", "c"]);
}

#[test]
fn one_key_absent_from_the_same_bucket_is_removed() {
    let ledger = [record("a", 1), record("b", 2), record("c", 3)];
    let ruling = judge(&ledger, Some(followed(3)), &seen(3, &[put("a", 1), put("b", 2)]));
    assert_eq!(removed(&ruling), ["c"]);
    assert!(held(&ruling).is_empty());
}

#[test]
fn more_than_half_absent_at_once_is_held_while_updates_are_applied() {
    let ledger = [record("a", 1), record("b", 2), record("c", 3)];
    let ruling = judge(&ledger, Some(followed(3)), &seen(5, &[put("a", 5)]));
    assert_eq!(held(&ruling), ["b", "c"]);
    assert_eq!(accepted(&ruling), ["a"]);
    assert!(removed(&ruling).is_empty());
}

#[test]
fn a_snapshot_without_any_key_of_this_device_removes_nothing() {
    let ruling = judge(&[record("web", 4)], Some(followed(4)), &seen(9, &[]));
    assert_eq!(held(&ruling), ["web"]);
    assert!(removed(&ruling).is_empty());
}

#[test]
fn another_bucket_of_the_same_name_removes_nothing_by_absence() {
    let ledger = [record("a", 1), record("b", 2), record("c", 3)];
    let other = Snapshot { incarnation: life("2027"), last_sequence: 1, entries: vec![put("a", 100)] };
    let ruling = judge(&ledger, Some(followed(3)), &other);
    assert!(ruling.source_reset);
    assert_eq!(held(&ruling), ["b", "c"]);
    assert_eq!(accepted(&ruling), ["a"]);
    assert_eq!(ruling.followed.incarnation, life("2027"));
}

#[test]
fn one_key_absent_from_another_bucket_is_held() {
    let ledger = [record("a", 1), record("b", 2), record("c", 3)];
    let entries = vec![put("a", 100), put("b", 101)];
    let other = Snapshot { incarnation: life("2027"), last_sequence: 2, entries };
    let ruling = judge(&ledger, Some(followed(3)), &other);
    assert_eq!(held(&ruling), ["c"]);
    assert!(removed(&ruling).is_empty());
}

#[test]
fn what_was_not_published_again_after_a_reset_is_still_held_later() {
    let ledger = [record("a", 1), record("b", 2)];
    let now = Followed::new(life("2027"), 1);
    let again = Snapshot { incarnation: life("2027"), last_sequence: 2, entries: vec![put("a", 2)] };
    let ruling = judge(&ledger, Some(now), &again);
    assert_eq!(held(&ruling), ["b"]);
}

#[test]
fn a_restored_backup_is_held_as_stale_and_a_later_write_is_accepted_at_a_lower_revision() {
    let ledger = [record("web", 40)];
    let ruling = judge(&ledger, Some(followed(40)), &seen(10, &[put("web", 10)]));
    assert!(ruling.source_reset);
    assert_eq!(ruling.verdicts[&name("web")], Verdict::Stale { revision: 10 });
    let later = Entry { written_at: at(1000), ..put("web", 11) };
    let ruling = judge(&ledger, Some(ruling.followed), &seen(11, std::slice::from_ref(&later)));
    assert!(!ruling.source_reset);
    assert_eq!(accepted(&ruling), ["web"]);
    let Verdict::Accept(taken) = &ruling.verdicts[&name("web")] else { panic!("accepted above") };
    let next = judge(
        std::slice::from_ref(taken),
        Some(ruling.followed),
        &seen(12, &[Entry { written_at: at(1001), ..put("web", 12) }]),
    );
    assert_eq!(accepted(&next), ["web"]);
}

#[test]
fn a_restored_backup_is_noticed_by_one_key_although_the_bucket_grew_since() {
    let ruling = judge(&[record("web", 40)], Some(followed(40)), &seen(60, &[put("web", 10)]));
    assert!(ruling.source_reset);
    assert_eq!(ruling.verdicts[&name("web")], Verdict::Stale { revision: 10 });
}

#[test]
fn an_older_marker_from_a_restored_backup_removes_nothing() {
    let ruling = judge(&[record("web", 40)], Some(followed(40)), &seen(10, &[marker("web", 10)]));
    assert!(removed(&ruling).is_empty());
}

#[test]
fn a_key_with_a_bad_deployment_name_is_named_and_disturbs_no_other() {
    let ruling = judge(&[], None, &seen(2, &[put("Web_1", 1), put("db", 2)]));
    assert_eq!(ruling.bad_keys, ["d1.Web_1"]);
    assert_eq!(accepted(&ruling), ["db"]);
}

#[test]
fn another_devices_keys_do_not_exist() {
    let foreign = Entry { key: "d10.web".into(), ..put("web", 1) };
    assert!(judge(&[], None, &seen(2, &[foreign])).verdicts.is_empty());
}

#[test]
fn a_hint_of_an_older_revision_asks_for_a_snapshot() {
    let ledger = records(&[record("web", 4)]);
    assert_eq!(hint(&ledger, &followed(4), &name("web"), &put("web", 3)), None);
    assert_eq!(hint(&ledger, &followed(4), &name("web"), &put("web", 4)), Some(Verdict::Nothing));
    assert!(matches!(hint(&ledger, &followed(4), &name("web"), &put("web", 5)), Some(Verdict::Accept(_))));
}

#[test]
fn a_deployment_put_again_while_it_is_removed_is_accepted() {
    let removing = Record { wanted: Wanted::Removed, ..record("web", 5) };
    let ruling = judge(&[removing], Some(followed(5)), &seen(6, &[put("web", 6)]));
    assert_eq!(accepted(&ruling), ["web"]);
}

/// `web` went at the second 50, and nothing is left of it.
fn forgotten() -> Followed {
    Followed { acted_until: Some(at(50)), ..followed(50) }
}

#[test]
fn a_restored_backup_does_not_bring_back_what_was_removed_and_forgotten() {
    let ruling = judge(&[], Some(forgotten()), &seen(30, &[put("web", 9)]));
    assert!(ruling.source_reset);
    assert_eq!(ruling.verdicts[&name("web")], Verdict::Stale { revision: 9 });
    // Nor later, when the bucket is no longer found reset.
    let next = judge(&[], Some(ruling.followed.clone()), &seen(31, &[put("web", 9)]));
    assert_eq!((next.source_reset, &next.verdicts[&name("web")]), (false, &Verdict::Stale { revision: 9 }));
    assert_eq!(hint(&Records::new(), &ruling.followed, &name("web"), &put("web", 30)), None);
}

#[test]
fn what_is_written_after_a_backup_was_restored_is_accepted_whether_it_was_known_before_or_not() {
    let restored = judge(&[], Some(forgotten()), &seen(30, &[put("web", 9)])).followed;
    let later = |deployment| Entry { written_at: at(51), ..put(deployment, 31) };
    for deployment in ["web", "new"] {
        let verdict = hint(&Records::new(), &restored, &name(deployment), &later(deployment));
        assert!(matches!(verdict, Some(Verdict::Accept(_))), "{deployment}: {verdict:?}");
        let ruling = judge(&[], Some(restored.clone()), &seen(31, &[later(deployment)]));
        assert_eq!(accepted(&ruling), [deployment]);
    }
}

#[test]
fn a_bucket_that_was_made_anew_takes_what_was_written_since_and_nothing_from_before() {
    let entries =
        vec![Entry { written_at: at(60), ..put("new", 1) }, Entry { written_at: at(40), ..put("old", 2) }];
    let other = Snapshot { incarnation: life("2027"), last_sequence: 2, entries };
    let ruling = judge(&[], Some(forgotten()), &other);
    assert_eq!(accepted(&ruling), ["new"]);
    assert_eq!(ruling.verdicts[&name("old")], Verdict::Stale { revision: 2 });
}

/// The clock of the server that took its place may be behind, or one write may have come from a clock that was ahead.
#[test]
fn what_is_written_after_a_reset_was_found_is_accepted_whatever_the_clock_says() {
    let old = Entry { written_at: at(40), ..put("old", 2) };
    let other = Snapshot { incarnation: life("2027"), last_sequence: 2, entries: vec![old.clone()] };
    let Ruling { followed, verdicts, .. } = judge(&[], Some(forgotten()), &other);
    assert_eq!(verdicts[&name("old")], Verdict::Stale { revision: 2 });
    let again = Entry { written_at: at(41), ..put("old", 3) };
    let new = Entry { written_at: at(42), ..put("new", 4) };
    let verdict = hint(&Records::new(), &followed, &name("old"), &again);
    assert!(matches!(verdict, Some(Verdict::Accept(_))), "{verdict:?}");
    let next = Snapshot { last_sequence: 4, entries: vec![again, new], ..other.clone() };
    assert_eq!(accepted(&judge(&[], Some(followed.clone()), &next)), ["new", "old"]);
    // Not so what was there.
    let next = Snapshot { last_sequence: 4, entries: vec![old], ..other };
    assert!(accepted(&judge(&[], Some(followed), &next)).is_empty());
}

#[test]
fn within_one_life_a_document_is_accepted_however_late_it_is_seen() {
    let ruling = judge(&[], Some(forgotten()), &seen(51, &[put("late", 49)]));
    assert_eq!(accepted(&ruling), ["late"]);
}
