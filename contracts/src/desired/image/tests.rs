use super::check;

#[test]
fn references_that_registries_know_are_accepted_as_they_are() {
    let digest = "a".repeat(64);
    for good in [
        "web",
        "localhost/web:test",
        "registry.example/web:1.4",
        "registry.example:5000/a/b_c/d-e.f:v1.0_X",
        "Registry.Example/web",
        "[::1]:5000/web",
        "oci-archive:/srv/images/web.tar",
        "docker-archive:/srv/web 1.4.tar.gz",
        &format!("web@sha256:{digest}"),
        &format!("registry.example/web:1@sha256:{digest}"),
    ] {
        assert_eq!(check(good).as_deref(), Ok(good));
    }
}

#[test]
fn what_is_no_reference_is_refused_with_the_accepted_form() {
    let long = "a".repeat(256);
    for (bad, why) in [
        ("", "empty"),
        ("a b", "is not of a-z"),
        ("web ", "is not of a-z"),
        ("web:", "the tag is not"),
        ("web:a b", "the tag is not"),
        ("Web:1", "lower case"),
        ("registry.example/", "is empty"),
        ("/web", "is empty"),
        ("a//b", "is empty"),
        ("docker://registry.example/web", "leave out \"docker://\""),
        ("oci-archive:x.tar", "is not absolute"),
        ("docker-archive:/a/../x.tar", "goes through"),
        ("oci-archive:/x.tar:latest", "holds a colon"),
        ("oci-archive:", "is not absolute"),
        ("web@sha256:abc", "the digest is not"),
        ("web@", "the digest is not"),
        ("web\n", "is not of a-z"),
        (&long, "more than 255"),
    ] {
        let message = check(bad).unwrap_err();
        assert!(message.contains(why), "{bad}: {message}");
    }
}
