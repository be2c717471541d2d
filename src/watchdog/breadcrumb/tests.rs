use super::*;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_next_process_is_told_once_and_the_file_is_kept_under_another_name() {
    let dir = directory();
    assert_eq!(collect(dir.path()), None);
    let left = Breadcrumb::new("1.2.3", "gave up: why");
    left.leave(dir.path()).unwrap();
    assert_eq!(collect(dir.path()), Some(format!("{} gave up: why", left.at)));
    assert_eq!(collect(dir.path()), None);
    let kept: Breadcrumb = serde_json::from_slice(&fs::read(dir.path().join(PREVIOUS)).unwrap()).unwrap();
    assert_eq!(kept, left);
}

#[test]
fn the_last_one_counts() {
    let dir = directory();
    Breadcrumb::new("1", "first, and a good deal longer").leave(dir.path()).unwrap();
    Breadcrumb::new("1", "second").leave(dir.path()).unwrap();
    assert!(collect(dir.path()).unwrap().ends_with(" second"));
}

#[test]
fn one_that_was_cut_off_is_still_a_sign_of_a_crash() {
    let dir = directory();
    for text in [&b""[..], b"{\"at\":", b"\xff\xfe"] {
        fs::write(dir.path().join(FILE), text).unwrap();
        assert_eq!(collect(dir.path()).as_deref(), Some("it left a word that cannot be read"));
        assert_eq!(collect(dir.path()), None);
    }
}

#[test]
fn a_reason_is_cut_where_a_letter_ends() {
    let dir = directory();
    Breadcrumb::new("1", "ä".repeat(100_000)).leave(dir.path()).unwrap();
    assert!(fs::metadata(dir.path().join(FILE)).unwrap().len() < 2000);
    assert!(collect(dir.path()).unwrap().ends_with(&"ä".repeat(500)));
}
