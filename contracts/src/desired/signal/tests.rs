use crate::desired::Signal;

fn read(name: &str) -> Result<String, String> {
    name.parse::<Signal>().map(|signal| signal.as_str().to_string())
}

#[test]
fn a_signal_is_normalised_to_its_full_name() {
    for (given, full) in [
        ("TERM", "SIGTERM"),
        ("SIGTERM", "SIGTERM"),
        ("sigint", "SIGINT"),
        ("Kill", "SIGKILL"),
        ("WINCH", "SIGWINCH"),
        ("RTMIN+3", "SIGRTMIN+3"),
        ("SIGRTMIN", "SIGRTMIN"),
        ("SIGRTMAX-14", "SIGRTMAX-14"),
    ] {
        assert_eq!(read(given).as_deref(), Ok(full));
    }
}

#[test]
fn what_cannot_end_a_process_or_is_no_signal_is_refused() {
    for bad in [
        "SIGSTOP",
        "CONT",
        "15",
        "",
        "SIG",
        "SIGFOO",
        "SIGSIGTERM",
        "RTMIN+0",
        "RTMIN+16",
        "RTMIN+03",
        "RTMAX-15",
        "RTMIN+",
        "TERM ",
    ] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
    assert!(read("STOP").unwrap_err().contains("cannot end a process"));
}
