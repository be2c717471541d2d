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
    let told = collect(dir.path()).unwrap();
    assert_eq!(
        told,
        LastCrash { line: format!("{} gave up: why", left.at), deployment: None, reading: None }
    );
    assert_eq!(collect(dir.path()), None);
    let kept: Breadcrumb = serde_json::from_slice(&fs::read(dir.path().join(PREVIOUS)).unwrap()).unwrap();
    assert_eq!(kept, left);
}

#[test]
fn the_last_one_counts() {
    let dir = directory();
    Breadcrumb::new("1", "first, and a good deal longer").leave(dir.path()).unwrap();
    Breadcrumb::new("1", "second").leave(dir.path()).unwrap();
    assert!(collect(dir.path()).unwrap().line.ends_with(" second"));
}

#[test]
fn one_that_was_cut_off_is_still_a_sign_of_a_crash() {
    let dir = directory();
    for text in [&b""[..], b"{\"at\":", b"\xff\xfe"] {
        fs::write(dir.path().join(FILE), text).unwrap();
        let told = collect(dir.path()).unwrap();
        assert_eq!((told.line.as_str(), told.deployment), ("it left a word that cannot be read", None));
        assert_eq!(collect(dir.path()), None);
    }
}

#[test]
fn a_reason_is_cut_where_a_letter_ends() {
    let dir = directory();
    Breadcrumb::new("1", "ä".repeat(100_000)).leave(dir.path()).unwrap();
    assert!(fs::metadata(dir.path().join(FILE)).unwrap().len() < 2000);
    assert!(collect(dir.path()).unwrap().line.ends_with(&"ä".repeat(500)));
}

#[test]
fn the_deployment_that_is_to_blame_is_told_if_it_is_one() {
    let dir = directory();
    for (blamed, expected) in [("web", Some("web")), ("No Name", None), ("", None)] {
        Breadcrumb::new("1", "stuck").blaming(Some(blamed.into())).leave(dir.path()).unwrap();
        let told = collect(dir.path()).unwrap();
        assert_eq!(told.deployment.as_ref().map(DeploymentName::as_str), expected);
    }
}

#[test]
fn what_an_aborting_process_wrote_is_told_too() {
    let dir = directory();
    fs::write(dir.path().join("last-words"), b"\x06web\0").unwrap();
    let told = collect(dir.path()).unwrap();
    assert_eq!(told.line, "aborted by SIGABRT while it worked on web");
    assert_eq!(told.deployment.as_ref().map(DeploymentName::as_str), Some("web"));
}
