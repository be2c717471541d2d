use super::*;

/// base64 of `of-KEY:secret`, so that the user says which entry was taken.
fn file(keys: &[&str]) -> Vec<u8> {
    let entries: Vec<String> = keys
        .iter()
        .map(|key| format!("\"{key}\": {{\"auth\": \"{}\"}}", STANDARD.encode(format!("of-{key}:se:cret"))))
        .collect();
    format!("{{\"auths\": {{{}}}}}", entries.join(",")).into_bytes()
}

fn user(keys: &[&str], image: &str) -> Result<String, String> {
    find(&file(keys), image).map(|credential| credential.user)
}

#[test]
fn the_longest_part_of_the_name_decides() {
    let keys = ["reg:5000", "reg:5000/team", "reg:5000/team/web", "other.example"];
    for (image, expected) in [
        ("reg:5000/team/web:1.4", "of-reg:5000/team/web"),
        ("reg:5000/team/web@sha256:abc", "of-reg:5000/team/web"),
        ("reg:5000/team/db", "of-reg:5000/team"),
        ("reg:5000/teams/db:2", "of-reg:5000"),
        ("other.example/a", "of-other.example"),
    ] {
        // A user ends at the first colon: only the begin can be compared.
        let expected = expected.split(':').next().unwrap();
        assert_eq!(user(&keys, image).as_deref(), Ok(expected), "{image}");
    }
    assert_eq!(
        user(&["reg.example"], "reg.example.evil/a"),
        Err("it has nothing for reg.example.evil".into())
    );
}

#[test]
fn the_hub_goes_by_its_names() {
    assert!(user(&["docker.io"], "nginx:1").is_ok());
    assert!(user(&["docker.io"], "team/app").is_ok());
    assert!(user(&["https://index.docker.io/v1/"], "docker.io/team/app").is_ok());
    assert!(user(&["https://reg.example/v2/"], "reg.example/app").is_ok());
}

#[test]
fn user_password_and_token_are_read() {
    let text = format!(
        r#"{{"auths": {{"a.example": {{"auth": "{}", "identitytoken": "tok"}}}}}}"#,
        STANDARD.encode("edge:s:3")
    );
    let credential = find(text.as_bytes(), "a.example/x").unwrap();
    assert_eq!((credential.user.as_str(), credential.password.reveal()), ("edge", b"s:3".as_slice()));
    assert_eq!(credential.identity_token, Some(Hidden::new(b"tok".as_slice())));
}

#[test]
fn what_cannot_be_used_is_told_without_repeating_it() {
    for (text, expected) in [
        ("hunter2", "no auth.json (line 1"),
        (r#"{"auths": {"a.example": {"auth": 7}}}"#, "no auth.json"),
        (r#"{"auths": {"a.example": {"auth": "hunter2!"}}}"#, "not the base64"),
        (r#"{"auths": {"a.example": {}}}"#, "not the base64"),
        (r#"{"credHelpers": {"a.example": "hunter2"}}"#, "credential helper"),
        ("{}", "nothing for a.example"),
    ] {
        let error = find(text.as_bytes(), "a.example/x").unwrap_err();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
    }
}
