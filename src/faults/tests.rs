use super::claim;

#[test]
fn a_fault_happens_as_often_as_its_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("actor:fleet-agent-link");
    assert_eq!(claim(&file), None);
    std::fs::write(&file, "panic 2\n").unwrap();
    assert_eq!(claim(&file).as_deref(), Some("panic"));
    assert_eq!(claim(&file).as_deref(), Some("panic"));
    assert_eq!(claim(&file), None);
    assert!(dir.path().join("actor:fleet-agent-link.done").exists());
}

#[test]
fn a_fault_that_happens_always_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("start:fleet-agent-link");
    std::fs::write(&file, "fail always").unwrap();
    (0..3).for_each(|_| assert_eq!(claim(&file).as_deref(), Some("fail")));
    assert!(file.exists());
}
