use crate::desired::{Volume, VolumeSource};

#[test]
fn a_volume_is_named_or_a_path_of_the_device() {
    let named: Volume = "data:/var/lib/web".parse().unwrap();
    assert_eq!(named.source, VolumeSource::Named("data".into()));
    let bound: Volume = "/etc/web:/etc/web:ro".parse().unwrap();
    assert_eq!((bound.source.clone(), bound.read_only), (VolumeSource::Bind("/etc/web".into()), true));
    assert_eq!(bound.to_string(), "/etc/web:/etc/web:ro");
    assert_eq!("a.b_c-1:/x:rw".parse::<Volume>().unwrap().to_string(), "a.b_c-1:/x");
}

#[test]
fn what_is_no_volume_is_refused_with_the_accepted_form() {
    for (bad, why) in [
        ("data", "no path in the container"),
        ("", "no path in the container"),
        ("data:var", "not absolute"),
        ("data:", "not absolute"),
        (":/x", "no volume name"),
        ("-a:/x", "no volume name"),
        ("a b:/x", "no volume name"),
        ("./a:/x", "not absolute"),
        ("/a/../b:/x", "through . or .."),
        ("data:/x/./y", "through . or .."),
        ("data:/", "root of a container"),
        ("data://", "root of a container"),
        ("data:/x:z", "use ro or rw"),
        ("data:/x:ro:z", "too many colons"),
        ("data:/x\0", "no NUL"),
    ] {
        let message = bad.parse::<Volume>().unwrap_err();
        assert!(message.contains(why), "{bad}: {message}");
    }
}

#[test]
fn one_place_is_recognised_in_every_spelling() {
    let place = |text: &str| text.parse::<Volume>().unwrap().place();
    assert_eq!(place("a:/x/y"), place("b://x//y/"));
    assert_ne!(place("a:/x/y"), place("a:/x/z"));
}
