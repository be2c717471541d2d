use super::*;
use tempfile::tempdir;

#[test]
fn a_second_owner_is_refused_and_told_who_holds_it() {
    let state = tempdir().unwrap();
    let _owner = StateLock::acquire(state.path(), "first").unwrap();
    let refused = StateLock::acquire(state.path(), "second").unwrap_err();
    let LockError::Held { holder: Some(holder), .. } = &refused else { panic!("{refused}") };
    assert_eq!((holder.pid, holder.instance.as_str()), (std::process::id(), "first"));
    assert!(holder.comm.is_some());
    let text = refused.to_string();
    for part in [&holder.pid.to_string(), "instance first", &holder.since.to_string()] {
        assert!(text.contains(part), "{text} does not name {part}");
    }
}

#[test]
fn the_next_owner_comes_in_when_the_first_is_gone() {
    let state = tempdir().unwrap();
    drop(StateLock::acquire(state.path(), "first").unwrap());
    assert!(StateLock::acquire(state.path(), "second").unwrap().still_ours());
}

#[test]
fn the_directory_is_made_and_only_the_owner_may_look() {
    let state = tempdir().unwrap();
    let inner = state.path().join("a/b");
    let _owner = StateLock::acquire(&inner, "first").unwrap();
    assert_eq!(fs::metadata(inner).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn the_epoch_rises_with_every_owner() {
    let state = tempdir().unwrap();
    let epochs: Vec<u64> = (0..3).map(|_| StateLock::acquire(state.path(), "x").unwrap().epoch()).collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn the_epoch_never_falls_when_its_file_is_damaged() {
    let state = tempdir().unwrap();
    for _ in 0..3 {
        StateLock::acquire(state.path(), "x").unwrap();
    }
    fs::write(state.path().join("epoch"), b"garbage").unwrap();
    fs::write(state.path().join("epoch.prev"), b"garbage").unwrap();
    assert_eq!(StateLock::acquire(state.path(), "x").unwrap().epoch(), 4);
    fs::remove_file(state.path().join("lock")).unwrap();
    assert_eq!(StateLock::acquire(state.path(), "x").unwrap().epoch(), 5);
}

#[test]
fn a_removed_or_replaced_lock_file_is_noticed() {
    let state = tempdir().unwrap();
    let owner = StateLock::acquire(state.path(), "x").unwrap();
    assert!(owner.still_ours());
    fs::remove_file(state.path().join("lock")).unwrap();
    assert!(!owner.still_ours());
    fs::write(state.path().join("lock"), b"").unwrap();
    assert!(!owner.still_ours());
}

#[test]
fn a_lock_file_that_says_nothing_still_refuses() {
    let state = tempdir().unwrap();
    let _owner = StateLock::acquire(state.path(), "x").unwrap();
    fs::write(state.path().join("lock"), b"").unwrap();
    let refused = StateLock::acquire(state.path(), "y").unwrap_err();
    assert!(matches!(&refused, LockError::Held { holder: None, .. }), "{refused}");
    assert!(refused.to_string().contains("has not said who it is"), "{refused}");
}
