use super::*;

#[test]
fn this_machine_has_an_inventory_without_holes() {
    let inventory = read(Path::new("/"));
    for (what, text) in [
        ("hostname", &inventory.hostname),
        ("arch", &inventory.arch),
        ("os", &inventory.os),
        ("kernel", &inventory.kernel),
        ("agent_version", &inventory.agent_version),
    ] {
        assert!(!text.is_empty(), "{what} is empty");
    }
    assert_eq!(inventory.boot_id.len(), 36);
    assert!(inventory.cpu_cores > 0 && inventory.memory_mb > 0 && inventory.disk_total_mb > 0);
    assert_eq!(inventory.runtime, None);
}

#[test]
fn a_machine_that_says_nothing_still_has_one() {
    let nowhere = tempfile::tempdir().unwrap();
    let inventory = read_below(nowhere.path(), Path::new("/not/there/yet"));
    assert_eq!((inventory.memory_mb, inventory.boot_id.as_str(), inventory.os.as_str()), (0, "", "linux"));
    assert!(inventory.disk_total_mb > 0, "the state directory need not exist yet");
}

#[test]
fn os_release_values_come_without_their_quotes() {
    let text = "# comment\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID='12'\n";
    for (key, expected) in [
        ("PRETTY_NAME", Some("Debian GNU/Linux 12 (bookworm)")),
        ("ID", Some("debian")),
        ("VERSION_ID", Some("12")),
        ("VERSION", None),
    ] {
        assert_eq!(os_release(text, key).as_deref(), expected, "{key}");
    }
}

#[test]
fn memory_is_in_mebibytes() {
    assert_eq!(memory_mb("MemTotal:       24689764 kB\nMemFree: 1 kB\n"), 24_111);
    assert_eq!(memory_mb(""), 0);
}
