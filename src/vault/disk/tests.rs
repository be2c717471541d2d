use super::*;
use std::fs;
use tempfile::TempDir;

fn vault() -> (TempDir, DiskVault) {
    let dir = TempDir::new().unwrap();
    let below = |name: &str| dir.path().join(name);
    for name in ["secrets", "auth", "state"] {
        fs::create_dir(below(name)).unwrap();
    }
    let vault = DiskVault::new(&below("secrets"), &below("auth"), &below("state"));
    (dir, vault)
}

fn put(dir: &TempDir, path: &str, content: &[u8], mode: u32) {
    let path = dir.path().join(path);
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn name(text: &str) -> ValueName {
    text.parse().unwrap()
}

#[test]
fn a_secret_is_its_files_bytes() {
    let (dir, vault) = vault();
    put(&dir, "secrets/db", b"hunter2\n\0\xff", 0o640);
    assert_eq!(vault.secret(&name("db")), Ok(Hidden::new(b"hunter2\n\0\xff".as_slice())));
}

#[test]
fn what_is_missing_empty_huge_open_to_others_or_no_file_is_told_by_name_and_path() {
    let (dir, vault) = vault();
    put(&dir, "secrets/open", b"hunter2", 0o644);
    put(&dir, "secrets/writable", b"hunter2", 0o602);
    put(&dir, "secrets/empty", b"", 0o600);
    put(&dir, "secrets/huge", &vec![b'x'; MAX_VALUE as usize + 1], 0o600);
    fs::create_dir(dir.path().join("secrets/directory")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("secrets/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for (file, expected) in [
        ("absent", "No such file"),
        ("open", "mode 0644 is open to every user"),
        ("writable", "mode 0602"),
        ("empty", "empty"),
        ("huge", "larger than"),
        ("directory", "no regular file"),
        ("pipe", "no regular file"),
    ] {
        let error = vault.secret(&name(file)).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(&format!("secret {file}, /")), "{file}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_version_tells_values_apart_and_nothing_of_them_and_outlives_the_process() {
    let (dir, vault) = vault();
    let values = |pairs: &[(&str, &str)]| -> Vec<(ValueName, Hidden)> {
        pairs.iter().map(|(key, value)| (name(key), Hidden::new(value.as_bytes()))).collect()
    };
    let one = vault.version(&values(&[("a", "hunter2")])).unwrap();
    assert_eq!(vault.version(&values(&[("a", "hunter2")])), Ok(one.clone()));
    for other in
        [&[("a", "hunter3")][..], &[("b", "hunter2")], &[("ah", "unter2")], &[("a", "hunter2"), ("b", "")]]
    {
        assert_ne!(vault.version(&values(other)).unwrap(), one, "{other:?}");
    }
    let plain = ring::digest::digest(&ring::digest::SHA256, b"hunter2");
    let plain: String = plain.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_ne!(one.as_str(), plain);
    let again = DiskVault::new(dir.path(), dir.path(), &dir.path().join("state"));
    assert_eq!(again.version(&values(&[("a", "hunter2")])), Ok(one.clone()));
    let key = dir.path().join("state/secrets-key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(again.version(&values(&[("a", "hunter3")])).unwrap().is_of_others_than(&one), Some(true));
}

/// Torn by a power cut, flipped, lost: what was made with the former key says nothing of what is made with another.
#[test]
fn versions_of_another_key_are_not_taken_for_other_values() {
    let (dir, vault) = vault();
    let key = dir.path().join("state/secrets-key");
    let values = [(name("a"), Hidden::new(b"hunter2".as_slice()))];
    let mut former = vault.version(&values).unwrap();
    for harm in [Some(&b"short"[..]), Some(&[7; 32]), None] {
        match harm {
            Some(bytes) => fs::write(&key, bytes).unwrap(),
            None => fs::remove_file(&key).unwrap(),
        }
        let anew = DiskVault::new(dir.path(), dir.path(), &dir.path().join("state"));
        let version = anew.version(&values).unwrap();
        assert_eq!(version.is_of_others_than(&former), None, "{harm:?}");
        former = version;
    }
}

#[test]
fn a_credential_is_read_from_its_own_file() {
    let (dir, vault) = vault();
    put(&dir, "auth/plant.json", br#"{"auths": {"r.example": {"auth": "ZWRnZTpzM2NyZXQ="}}}"#, 0o600);
    let credential = vault.credential(&name("plant"), "r.example/a:1").unwrap();
    assert_eq!((credential.user.as_str(), credential.password.reveal()), ("edge", b"s3cret".as_slice()));
    let absent = vault.credential(&name("other"), "r.example/a:1").unwrap_err().to_string();
    assert!(absent.contains("other.json"), "{absent}");
    put(&dir, "auth/plant.json", b"{}", 0o604);
    assert!(vault.credential(&name("plant"), "r.example/a:1").unwrap_err().to_string().contains("mode 0604"));
}
