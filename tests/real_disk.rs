//! The ledger on filesystems that run full. Needs root: each test mounts a small one.
#![allow(clippy::unwrap_used, clippy::panic)]

use fleet_agent::domain::ledger::{Record, Wanted};
use fleet_agent::domain::source::Incarnation;
use fleet_agent::store::disk::DiskLedger;
use fleet_agent::store::lock::StateLock;
use fleet_agent::store::{LedgerStore, StoreError};
use fleet_contracts::Timestamp;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

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
        wanted: Wanted::Present(vec![revision as u8; pages * PAGE - 512].into()),
        trial: Default::default(),
        ends: Default::default(),
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

/// An ext4 on a loop device, from which the power can be taken.
struct PowerCut {
    mount: PathBuf,
    device: String,
    _parent: tempfile::TempDir,
}

impl PowerCut {
    fn new() -> Self {
        alone();
        let parent = match std::env::var_os("FLEET_TEST_DIR") {
            Some(dir) => tempfile::tempdir_in(dir).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        let (mount, image) = (parent.path().join("disk"), parent.path().join("image"));
        fs::create_dir(&mount).unwrap();
        File::create(&image).unwrap().set_len(16 << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image));
        let found = Command::new("losetup").args(["--find", "--show"]).arg(&image).output().unwrap();
        let device = String::from_utf8(found.stdout).unwrap().trim().to_owned();
        let disk = Self { mount, device, _parent: parent };
        disk.mount();
        disk
    }

    fn mount(&self) {
        run(Command::new("mount").arg(&self.device).arg(&self.mount));
    }

    /// Nothing more reaches the disk, not even what is in the journal's memory: as when the power goes. False: this
    /// kernel cannot do that.
    fn cut(&self) -> bool {
        let (root, flags) = (File::open(&self.mount).unwrap(), NO_LOG_FLUSH);
        // SAFETY: FS_IOC_SHUTDOWN reads one u32 through the pointer.
        #[allow(unsafe_code)]
        let answer = unsafe { libc::ioctl(root.as_raw_fd(), FS_IOC_SHUTDOWN, &raw const flags) };
        let error = std::io::Error::last_os_error();
        assert!(answer == 0 || error.raw_os_error() == Some(libc::ENOTTY), "{error}");
        answer == 0
    }

    /// The next boot.
    fn reboot(&self) {
        run(Command::new("umount").arg(&self.mount));
        self.mount();
    }
}

/// linux/fs.h: _IOR('X', 125, __u32), and EXT4_GOING_FLAGS_NOLOGFLUSH.
const FS_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
const NO_LOG_FLUSH: u32 = 2;

impl Drop for PowerCut {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

/// What this thread and those that it starts mount from now on, nobody else sees: a world of another test that begins
/// meanwhile would have a copy of the mount, and it would outlive the unmount here.
fn alone() {
    // SAFETY: takes flags only.
    #[allow(unsafe_code)]
    let unshared = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(unshared, 0, "{}", std::io::Error::last_os_error());
    run(Command::new("mount").args(["--make-rprivate", "/"]));
}

/// Writes one deployment's record again and again; what was tried last, and what was last said to be durable.
fn write_on(ledger: &DiskLedger, name: &str, began: &AtomicUsize) -> (u64, u64) {
    let mut durable = 0;
    for revision in 1.. {
        began.fetch_add(1, Ordering::SeqCst);
        let record = Record { name: name.parse().unwrap(), ..record(revision, 1 + revision as usize % 3) };
        match ledger.save(&record) {
            Ok(()) => durable = revision,
            Err(_) => return (revision, durable),
        }
    }
    unreachable!("the disk fails some time")
}

/// The power goes after so many writes have begun.
fn cut_after(writes: usize) {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let disk = PowerCut::new();
    let (ledger, began) = (DiskLedger::new(&disk.mount).unwrap(), AtomicUsize::new(0));
    let (is_cut, ends) = std::thread::scope(|scope| {
        let write = |name| {
            scope.spawn({
                let (ledger, began) = (&ledger, &began);
                move || write_on(ledger, name, began)
            })
        };
        let writers = NAMES.map(write);
        while began.load(Ordering::SeqCst) < writes {
            std::thread::yield_now();
        }
        let is_cut = disk.cut();
        if !is_cut {
            // They must end all the same.
            run(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.mount));
        }
        (is_cut, writers.map(|writer| writer.join().unwrap()))
    });
    if !is_cut {
        return eprintln!("this kernel cannot shut a filesystem down: nothing is shown");
    }
    disk.reboot();
    let found = DiskLedger::new(&disk.mount).unwrap().load().unwrap();
    assert_eq!((&found.quarantined, &found.doubtful), (&vec![], &BTreeSet::new()), "after {writes} writes");
    for (name, (tried, durable)) in NAMES.into_iter().zip(ends) {
        let record = found.records.iter().find(|record| record.name.as_str() == name);
        let revision = record.map_or(0, |record| record.revision);
        assert!((durable..=tried).contains(&revision), "{name}: {revision}, not {durable} to {tried}");
        let whole =
            Record { name: name.parse().unwrap(), ..self::record(revision, 1 + revision as usize % 3) };
        assert!(record.is_none_or(|record| *record == whole), "{name} at {revision} is not what was written");
    }
}

#[test]
fn when_the_power_goes_in_the_middle_of_writing_each_record_is_the_old_or_the_new() {
    [1, 2, 5, 17, 40].into_iter().for_each(cut_after);
}

mod long {
    #[test]
    fn when_the_power_goes_a_hundred_times_each_record_is_the_old_or_the_new() {
        (0..100).for_each(|n| super::cut_after(1 + n * 7 % 90));
    }
}
