//! What every ledger store promises, shown on the real disk and on the fake that stands for it.
#![allow(clippy::unwrap_used, clippy::panic)]

use fleet_agent::domain::images::{Brought, Note, Used};
use fleet_agent::domain::ledger::{Followed, Ledger, Record, Wanted};
use fleet_agent::domain::source::Incarnation;
use fleet_agent::store::LedgerStore;
use fleet_agent::store::disk::DiskLedger;
use fleet_agent::store::fake::{Fail, FakeLedger, Write};
use fleet_contracts::{DeploymentName, Timestamp};
use std::io::ErrorKind;

fn record(name: &str, revision: u64, wanted: Wanted) -> Record {
    Record {
        name: name.parse().unwrap(),
        revision,
        written_at: Timestamp::from_unix_seconds(1_700_000_000).unwrap(),
        incarnation: Incarnation("2026-01-01T00:00:00Z".into()),
        wanted,
        trial: Default::default(),
        ends: Default::default(),
    }
}

fn present(name: &str, revision: u64) -> Record {
    record(name, revision, Wanted::Present([0, 0xff, b'{', revision as u8].into()))
}

fn on_both(promise: impl Fn(&dyn LedgerStore)) {
    promise(&FakeLedger::default());
    let dir = tempfile::tempdir().unwrap();
    promise(&DiskLedger::new(dir.path()).unwrap());
}

#[test]
fn a_new_store_is_empty() {
    on_both(|store| assert_eq!(store.load().unwrap(), Ledger::default()));
}

#[test]
fn what_was_saved_is_loaded_byte_for_byte_and_in_order_of_names() {
    on_both(|store| {
        let (b, a) = (present("b", 2), record("a", u64::MAX, Wanted::Removed));
        let empty = record("c-0", 1, Wanted::Present([].into()));
        for record in [&b, &a, &empty] {
            store.save(record).unwrap();
        }
        assert_eq!(store.load().unwrap().records, [a, b, empty]);
    });
}

#[test]
fn a_later_save_replaces_an_earlier_one_of_the_same_name_only() {
    on_both(|store| {
        for record in [present("a", 1), present("b", 1), present("a", 2)] {
            store.save(&record).unwrap();
        }
        assert_eq!(store.load().unwrap().records, [present("a", 2), present("b", 1)]);
    });
}

#[test]
fn a_document_of_the_largest_size_is_kept() {
    on_both(|store| {
        let largest =
            record("a", 1, Wanted::Present(vec![0x5a; fleet_contracts::names::MAX_DOCUMENT].into()));
        store.save(&largest).unwrap();
        assert_eq!(store.load().unwrap().records, [largest]);
    });
}

#[test]
fn what_was_forgotten_is_gone_and_forgetting_twice_succeeds() {
    on_both(|store| {
        for record in [present("a", 1), present("a", 2), present("b", 1)] {
            store.save(&record).unwrap();
        }
        for _ in 0..2 {
            store.forget(&"a".parse().unwrap()).unwrap();
            assert_eq!(store.load().unwrap().records, [present("b", 1)]);
        }
    });
}

#[test]
fn the_followed_bucket_is_the_last_one_saved_and_no_deployment() {
    on_both(|store| {
        for last_sequence in [1, u64::MAX] {
            let followed = Followed::new(Incarnation("i".into()), last_sequence);
            store.save_followed(&followed).unwrap();
            store.save(&present("followed", 1)).unwrap();
            let ledger = store.load().unwrap();
            assert_eq!((ledger.followed, ledger.records.len()), (Some(followed), 1));
        }
    });
}

#[test]
fn the_note_of_images_is_the_last_one_saved() {
    on_both(|store| {
        for id in ["sha256:1", "sha256:2"] {
            let deployments = [name("web")].into();
            let brought = Brought { id: id.into(), names: ["web:1".to_owned()].into(), deployments };
            let used = Used { now: id.into(), former: Some("sha256:0".into()) };
            let used = [((name("web"), "a".parse().unwrap()), used)].into();
            let note = Note { brought: vec![brought], used };
            store.save_images(&note).unwrap();
            assert_eq!(store.load().unwrap().images, note);
        }
    });
}

fn name(text: &str) -> DeploymentName {
    text.parse().unwrap()
}

#[test]
fn loading_changes_nothing() {
    on_both(|store| {
        store.save(&present("a", 1)).unwrap();
        assert_eq!(store.load().unwrap(), store.load().unwrap());
    });
}

#[test]
fn the_disk_keeps_it_for_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    DiskLedger::new(dir.path()).unwrap().save(&present("a", 1)).unwrap();
    assert_eq!(DiskLedger::new(dir.path()).unwrap().load().unwrap().records, [present("a", 1)]);
}

#[test]
fn the_fake_fails_as_told_once_and_journals_only_what_became_durable() {
    let store = FakeLedger::default();
    store.fail_next(Fail::Before(ErrorKind::StorageFull));
    store.fail_next(Fail::After(ErrorKind::Other));
    assert_eq!(store.save(&present("a", 1)).unwrap_err().source.kind(), ErrorKind::StorageFull);
    assert_eq!(store.journal(), []);
    assert_eq!(store.save(&present("a", 2)).unwrap_err().source.kind(), ErrorKind::Other);
    store.save(&present("a", 3)).unwrap();
    assert_eq!(store.journal(), [Write::Saved(present("a", 2)), Write::Saved(present("a", 3))]);
    assert_eq!(store.load().unwrap().records, [present("a", 3)]);
}
