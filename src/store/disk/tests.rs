//! What a crash, a full disk or a bad sector can do to the files, built by hand.
use super::*;
use crate::domain::ledger::Wanted;
use crate::domain::source::Incarnation;
use fleet_contracts::Timestamp;
use tempfile::{TempDir, tempdir};

fn name(name: &str) -> DeploymentName {
    name.parse().unwrap()
}

fn record(deployment: &str, revision: u64) -> Record {
    Record {
        name: name(deployment),
        revision,
        written_at: Timestamp::from_unix_seconds(1_700_000_000).unwrap(),
        incarnation: Incarnation("2026-01-01T00:00:00Z".into()),
        wanted: Wanted::Present(format!("{{\"n\":{revision}}}").into_bytes().into()),
        trial: Default::default(),
        ends: Default::default(),
    }
}

struct Disk {
    dir: TempDir,
    ledger: DiskLedger,
}

impl Disk {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let ledger = DiskLedger::new(dir.path()).unwrap();
        Self { dir, ledger }
    }

    /// One that saved revision 1 and then 2 of `web`.
    fn with_two() -> Self {
        let disk = Self::new();
        disk.ledger.save(&record("web", 1)).unwrap();
        disk.ledger.save(&record("web", 2)).unwrap();
        disk
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("deployments").join(file)
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.path(file)).unwrap()
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        fs::write(self.path(file), bytes).unwrap();
    }

    fn revisions(&self) -> Vec<u64> {
        self.ledger.load().unwrap().records.iter().map(|record| record.revision).collect()
    }

    fn files(&self) -> Vec<String> {
        let mut files = files_of(&self.dir.path().join("deployments")).unwrap();
        files.sort();
        files
    }

    fn aside(&self) -> Vec<String> {
        let mut files = files_of(&self.dir.path().join("quarantine")).unwrap_or_default();
        files.sort();
        files
    }
}

#[test]
fn a_copy_torn_at_any_length_falls_back_to_the_other() {
    let disk = Disk::with_two();
    let whole = disk.bytes("web");
    for length in 0..whole.len() {
        disk.put("web", &whole[..length]);
        assert_eq!(disk.revisions(), [1], "torn after {length} bytes");
    }
    disk.put("web", &whole);
    assert_eq!(disk.revisions(), [2]);
}

#[test]
fn any_flipped_bit_falls_back_to_the_other() {
    let disk = Disk::with_two();
    let whole = disk.bytes("web");
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        disk.put("web", &flipped);
        assert_eq!(disk.revisions(), [1], "bit {bit}");
    }
}

#[test]
fn a_damaged_previous_copy_does_not_matter() {
    let disk = Disk::with_two();
    disk.put("web.prev", b"garbage");
    assert_eq!(disk.revisions(), [2]);
    assert_eq!(disk.ledger.load().unwrap().quarantined, Vec::<String>::new());
}

#[test]
fn a_missing_current_copy_falls_back_to_the_previous() {
    let disk = Disk::with_two();
    fs::remove_file(disk.path("web")).unwrap();
    assert_eq!(disk.revisions(), [1]);
}

#[test]
fn a_record_bad_in_both_copies_is_moved_aside_and_named_and_disturbs_no_other() {
    let disk = Disk::with_two();
    disk.ledger.save(&record("other", 7)).unwrap();
    disk.put("web", b"garbage");
    disk.put("web.prev", b"rubbish");
    let ledger = disk.ledger.load().unwrap();
    assert_eq!(ledger.records, [record("other", 7)]);
    assert_eq!(ledger.quarantined, ["deployments/web"]);
    assert_eq!(disk.aside(), ["1-web.prev", "2-web"]);
    assert_eq!(fs::read(disk.dir.path().join("quarantine/2-web")).unwrap(), b"garbage");
}

#[test]
fn what_was_lost_is_named_at_every_start_until_it_is_written_again() {
    let disk = Disk::with_two();
    disk.put("web", b"garbage");
    disk.put("web.prev", b"rubbish");
    for _ in 0..3 {
        assert_eq!(disk.ledger.load().unwrap().quarantined, ["deployments/web"]);
    }
    disk.ledger.save(&record("web", 3)).unwrap();
    let ledger = disk.ledger.load().unwrap();
    assert_eq!((ledger.records.len(), ledger.quarantined.len()), (1, 0));
}

#[test]
fn forgetting_a_lost_record_ends_its_naming() {
    let disk = Disk::with_two();
    disk.put("web", b"garbage");
    disk.put("web.prev", b"rubbish");
    disk.ledger.load().unwrap();
    disk.ledger.forget(&name("web")).unwrap();
    assert_eq!(disk.ledger.load().unwrap(), Ledger::default());
}

#[test]
fn a_crash_in_the_middle_of_moving_aside_is_finished_by_the_next_start() {
    let disk = Disk::with_two();
    // The mark is set and the previous copy moved, the current one not yet.
    disk.put("web", b"garbage");
    fs::remove_file(disk.path("web.prev")).unwrap();
    disk.put("web.lost", b"");
    assert_eq!(disk.ledger.load().unwrap().quarantined, ["deployments/web"]);
    assert_eq!(disk.aside(), ["1-web"]);
}

#[test]
fn a_damaged_value_never_pushes_out_the_last_good_one() {
    let disk = Disk::with_two();
    disk.put("web", b"garbage");
    disk.ledger.save(&record("web", 3)).unwrap();
    disk.put("web", b"garbage again");
    assert_eq!(disk.revisions(), [1], "the previous copy was replaced by garbage");
}

#[test]
fn every_state_between_two_steps_of_a_save_reads_as_the_old_or_the_new() {
    let disk = Disk::with_two();
    let (first, second) = (disk.bytes("web.prev"), disk.bytes("web"));
    disk.ledger.save(&record("web", 3)).unwrap();
    let third = disk.bytes("web");
    let half = &third[..third.len() / 2];
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let states: [(Files, u64); 5] = [
        (&[("web", &second), ("web.prev", &first), ("web.tmp", half)], 2),
        (&[("web", &second), ("web.prev", &first), ("web.tmp", &third)], 2),
        (&[("web", &second), ("web.prev", &first), ("web.tmp", &third), ("web.prev.tmp", &second)], 2),
        (&[("web", &second), ("web.prev", &second), ("web.tmp", &third)], 2),
        (&[("web", &third), ("web.prev", &second)], 3),
    ];
    for (files, expected) in states {
        for file in disk.files() {
            fs::remove_file(disk.path(&file)).unwrap();
        }
        for (file, bytes) in files {
            disk.put(file, bytes);
        }
        assert_eq!(disk.revisions(), [expected]);
        assert_eq!(disk.files(), ["web", "web.prev"], "temporary files are swept");
        disk.ledger.save(&record("web", 4)).unwrap();
        assert_eq!(disk.revisions(), [4]);
        assert_eq!(disk.files(), ["web", "web.prev"]);
    }
}

#[test]
fn a_save_never_writes_over_a_file_that_is_there() {
    let disk = Disk::with_two();
    let before = (disk.bytes("web"), disk.bytes("web.prev"));
    let aside = tempdir().unwrap();
    for file in ["web", "web.prev"] {
        fs::hard_link(disk.path(file), aside.path().join(file)).unwrap();
    }
    disk.ledger.save(&record("web", 3)).unwrap();
    let kept = |file: &str| fs::read(aside.path().join(file)).unwrap();
    assert_eq!((kept("web"), kept("web.prev")), before);
}

#[test]
fn a_save_after_a_crash_that_left_two_names_of_one_file_leaves_no_litter() {
    let disk = Disk::with_two();
    fs::remove_file(disk.path("web.prev")).unwrap();
    fs::hard_link(disk.path("web"), disk.path("web.prev")).unwrap();
    disk.ledger.save(&record("web", 3)).unwrap();
    assert_eq!(disk.files(), ["web", "web.prev"]);
    disk.put("web", b"garbage");
    assert_eq!(disk.revisions(), [2]);
}

#[test]
fn a_crash_between_the_steps_of_forgetting_never_brings_the_older_copy_back() {
    let disk = Disk::with_two();
    let gone = Record { wanted: Wanted::Removed, ..record("web", 3) };
    disk.ledger.save(&gone).unwrap();
    // Only the first step was done.
    fs::remove_file(disk.path("web.prev")).unwrap();
    assert_eq!(disk.ledger.load().unwrap().records, std::slice::from_ref(&gone));
    disk.ledger.forget(&gone.name).unwrap();
    assert_eq!(disk.files(), Vec::<String>::new());
}

#[test]
fn a_record_under_another_name_is_not_believed() {
    let disk = Disk::with_two();
    disk.put("shop", &disk.bytes("web"));
    let ledger = disk.ledger.load().unwrap();
    assert_eq!(ledger.records, [record("web", 2)]);
    assert_eq!(ledger.quarantined, ["deployments/shop"]);
}

#[test]
fn foreign_files_are_neither_read_nor_touched() {
    let disk = Disk::with_two();
    for file in ["README.md", "Web", "-x", "web.bak"] {
        disk.put(file, b"mine");
    }
    assert_eq!(disk.revisions(), [2]);
    assert_eq!(disk.files().len(), 6);
    assert_eq!(disk.aside(), Vec::<String>::new());
}

#[test]
fn a_directory_or_a_huge_file_in_the_place_of_a_record_is_moved_aside() {
    let disk = Disk::new();
    fs::create_dir(disk.path("web")).unwrap();
    fs::File::create(disk.path("huge")).unwrap().set_len(pair::MAX_FILE + 1).unwrap();
    assert_eq!(disk.ledger.load().unwrap().quarantined, ["deployments/huge", "deployments/web"]);
    disk.ledger.save(&record("web", 1)).unwrap();
    assert_eq!(disk.revisions(), [1]);
}

#[test]
fn the_followed_bucket_bad_in_both_copies_is_named_until_it_is_written_again() {
    let disk = Disk::new();
    let followed = Followed::new(Incarnation("i".into()), 9);
    disk.ledger.save_followed(&followed).unwrap();
    fs::write(disk.dir.path().join("followed"), b"garbage").unwrap();
    for _ in 0..2 {
        let ledger = disk.ledger.load().unwrap();
        assert_eq!((ledger.followed, ledger.quarantined), (None, vec!["followed".to_owned()]));
    }
    disk.ledger.save_followed(&followed).unwrap();
    assert_eq!(disk.ledger.load().unwrap().followed, Some(followed));
}

#[test]
fn the_quarantine_keeps_the_last_sixteen() {
    let disk = Disk::new();
    for round in 0..20 {
        disk.put("web", format!("garbage {round}").as_bytes());
        disk.ledger.load().unwrap();
    }
    assert_eq!(disk.aside().len(), QUARANTINE_MAX);
    assert_eq!(fs::read(disk.dir.path().join("quarantine/20-web")).unwrap(), b"garbage 19");
    assert!(!disk.dir.path().join("quarantine/4-web").exists());
}

#[test]
fn nobody_else_may_read_documents() {
    use std::os::unix::fs::MetadataExt;
    let disk = Disk::with_two();
    for (file, mode) in [("web", 0o600), ("web.prev", 0o600), ("", 0o700)] {
        assert_eq!(fs::metadata(disk.path(file)).unwrap().mode() & 0o777, mode, "{file}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_that_names_the_file() {
    let disk = Disk::new();
    fs::remove_dir(disk.path("")).unwrap();
    let error = disk.ledger.save(&record("web", 1)).unwrap_err();
    assert!(error.to_string().contains("deployments/web.tmp"), "{error}");
    assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_form_with_fields_of_a_newer_agent_is_read() {
    #[derive(serde::Serialize)]
    struct Newer {
        v: u16,
        name: &'static str,
        revision: u64,
        written_at: &'static str,
        incarnation: &'static str,
        invented_later: [u8; 3],
    }
    let newer = Newer {
        v: 1,
        name: "web",
        revision: 5,
        written_at: "2026-01-01T00:00:00Z",
        incarnation: "i",
        invented_later: [1, 2, 3],
    };
    let disk = Disk::new();
    disk.put("web", &written::seal(Kind::Deployment, &newer).unwrap());
    assert_eq!(disk.revisions(), [5]);
}

/// The whole of a save, each call in it refused once.
#[cfg(debug_assertions)]
#[test]
fn a_save_that_fails_at_any_of_its_steps_leaves_the_old_or_the_new_and_the_next_one_succeeds() {
    let faults = tempdir().unwrap();
    crate::faults::look_in(faults.path());
    for (n, step) in pair::STEPS.iter().enumerate() {
        let disk = Disk::with_two();
        let fault = faults.path().join(format!("disk:{step}"));
        fs::write(&fault, "fail").unwrap();
        disk.ledger.save(&record("web", 3)).unwrap_err();
        assert!(fault.with_added_extension("done").exists(), "{step}");
        // Only what follows the rename finds the new one there.
        let expected = if *step == "directory" { 3 } else { 2 };
        let ledger = disk.ledger.load().unwrap();
        assert_eq!((ledger.records, ledger.quarantined.len()), (vec![record("web", expected)], 0), "{step}");
        assert_eq!(ledger.doubtful.len(), 0);
        assert_eq!(disk.files(), ["web", "web.prev"], "{step} (step {n}) leaves litter");
        disk.ledger.save(&record("web", 4)).unwrap();
        assert_eq!(disk.revisions(), [4]);
    }
}

#[test]
fn a_record_whose_newer_copy_cannot_be_read_is_told_to_be_doubtful_until_it_is_written_again() {
    let disk = Disk::with_two();
    assert_eq!(disk.ledger.load().unwrap().doubtful, BTreeSet::new());
    disk.put("web", b"garbage");
    for _ in 0..2 {
        assert_eq!(disk.ledger.load().unwrap().doubtful, [name("web")].into());
    }
    disk.ledger.save(&record("web", 2)).unwrap();
    assert_eq!(disk.ledger.load().unwrap().doubtful, BTreeSet::new());
    fs::remove_file(disk.path("web")).unwrap();
    assert_eq!(disk.ledger.load().unwrap().doubtful, [name("web")].into());
}
