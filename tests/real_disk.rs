//! The ledger on filesystems that run full. Needs root: each test mounts a small one.
#![allow(clippy::unwrap_used, clippy::panic)]

use fleet_agent::domain::ledger::{Record, Wanted};
use fleet_agent::domain::source::Incarnation;
use fleet_agent::store::disk::DiskLedger;
use fleet_agent::store::lock::StateLock;
use fleet_agent::store::{LedgerStore, StoreError};
use fleet_contracts::Timestamp;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: usize = 4096;
/// Of the small filesystem; each file takes at least one.
const PAGES: usize = 24;

struct SmallDisk {
    /// Below the directory that `scripts/test` clears of mounts, should this process be killed.
    mount: PathBuf,
    _parent: tempfile::TempDir,
}

impl SmallDisk {
    fn new(options: &str) -> Self {
        let parent = match std::env::var_os("FLEET_TEST_DIR") {
            Some(dir) => tempfile::tempdir_in(dir).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        let mount = parent.path().join("disk");
        fs::create_dir(&mount).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&mount));
        Self { mount, _parent: parent }
    }

    fn ledger(&self) -> DiskLedger {
        DiskLedger::new(&self.mount).unwrap()
    }

    /// Takes all space but `pages`.
    fn fill_all_but(&self, pages: usize) {
        let filler = self.mount.join("filler");
        let mut file = File::create(&filler).unwrap();
        let mut taken = 0;
        while file.write_all(&[1; PAGE]).is_ok() {
            taken += PAGE as u64;
        }
        file.set_len(taken.saturating_sub((pages * PAGE) as u64)).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.mount.join("filler")).unwrap();
    }

    fn litter(&self) -> Vec<String> {
        let files = fs::read_dir(self.mount.join("deployments")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".tmp")).collect()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.mount).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?} failed: is this root?");
}

/// One whose document takes `pages`.
fn record(revision: u64, pages: usize) -> Record {
    Record {
        name: "web".parse().unwrap(),
        revision,
        written_at: Timestamp::from_unix_seconds(1_700_000_000).unwrap(),
        incarnation: Incarnation("i".into()),
        wanted: Wanted::Present(vec![revision as u8; pages * PAGE - 512]),
        trial: Default::default(),
    }
}

fn stored(disk: &Path) -> Vec<Record> {
    DiskLedger::new(disk).unwrap().load().unwrap().records
}

#[test]
fn with_any_room_that_is_left_a_save_succeeds_or_changes_nothing() {
    let options = format!("size={}", PAGES * PAGE);
    let mut refused = 0;
    for room in 0..6 {
        let disk = SmallDisk::new(&options);
        let ledger = disk.ledger();
        ledger.save(&record(1, 1)).unwrap();
        disk.fill_all_but(room);
        match ledger.save(&record(2, 3)) {
            Ok(()) => assert_eq!(stored(&disk.mount), [record(2, 3)], "{room} pages"),
            Err(StoreError { source, path, .. }) => {
                assert_eq!(source.kind(), ErrorKind::StorageFull, "{room} pages");
                assert!(path.ends_with("deployments/web.tmp"), "{}", path.display());
                assert_eq!(disk.litter(), Vec::<String>::new(), "{room} pages");
                assert_eq!(stored(&disk.mount), [record(1, 1)], "{room} pages");
                refused += 1;
            }
        }
        disk.make_room();
        ledger.save(&record(3, 1)).unwrap();
        assert_eq!(stored(&disk.mount), [record(3, 1)], "{room} pages");
    }
    assert!((1..6).contains(&refused), "both outcomes were seen: {refused} refusals");
}

#[test]
fn without_an_inode_left_nothing_changes_and_forgetting_still_works() {
    let disk = SmallDisk::new("size=1m,nr_inodes=8");
    let ledger = disk.ledger();
    ledger.save(&record(1, 1)).unwrap();
    let mut fillers = 0;
    while File::create(disk.mount.join(format!("filler-{fillers}"))).is_ok() {
        fillers += 1;
    }
    assert_eq!(ledger.save(&record(2, 1)).unwrap_err().source.kind(), ErrorKind::StorageFull);
    assert_eq!(stored(&disk.mount), [record(1, 1)]);
    ledger.forget(&"web".parse().unwrap()).unwrap();
    assert_eq!(stored(&disk.mount), []);
}

#[test]
fn a_damaged_record_on_a_full_disk_is_named_and_keeps_nobody_from_starting() {
    let disk = SmallDisk::new(&format!("size={}", PAGES * PAGE));
    disk.ledger().save(&record(1, 1)).unwrap();
    fs::write(disk.mount.join("deployments/web"), "garbage").unwrap();
    disk.fill_all_but(0);
    let ledger = disk.ledger().load().unwrap();
    assert_eq!((ledger.records, ledger.quarantined), (vec![], vec!["deployments/web".to_owned()]));
}

#[test]
fn a_full_or_read_only_disk_still_has_an_owner() {
    let disk = SmallDisk::new(&format!("size={}", PAGES * PAGE));
    disk.ledger().save(&record(1, 1)).unwrap();
    assert_eq!(StateLock::acquire(&disk.mount, "a").unwrap().epoch(), 1);
    disk.fill_all_but(0);
    let owner = StateLock::acquire(&disk.mount, "b").unwrap();
    assert_eq!(owner.epoch(), 2);
    assert!(StateLock::acquire(&disk.mount, "c").is_err());
    drop(owner);
    run(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.mount));
    let owner = StateLock::acquire(&disk.mount, "d").unwrap();
    assert!(owner.still_ours() && owner.epoch() >= 2);
    assert_eq!(stored(&disk.mount), [record(1, 1)]);
}
