use super::*;

fn state(json: &str) -> InspectedState {
    serde_json::from_str(json).expect("valid")
}

#[test]
fn a_row_with_words_nobody_knows_is_still_a_row() {
    let row: Row = serde_json::from_str(
        r#"{"Id":"ab","Names":["/fleet-web.a"],"State":"levitating","Ports":[{"Type":"quic"}],"Health":{"Status":"meh"}}"#,
    )
    .expect("readable");
    assert_eq!(row.name(), "fleet-web.a");
    assert_eq!(Word::of(&row.state), Word::Unclear);
}

#[test]
fn the_moment_between_exit_and_cleanup_has_a_word_of_its_own() {
    let row: Row =
        serde_json::from_str(r#"{"Id":"ab","State":"stopped","Status":"Exited (4) Less than a second ago"}"#)
            .expect("readable");
    assert_eq!((Word::of(&row.state), row.exit_code()), (Word::Stopped, Some(4)));
}

#[test]
fn podman_five_hides_a_stop_behind_the_word_running() {
    assert_eq!(state(r#"{"Status":"running","Running":false,"Pid":7}"#).word(), Word::Stopping);
    assert_eq!(state(r#"{"Status":"running","Running":true,"Pid":7}"#).word(), Word::Running);
}

#[test]
fn year_one_means_never_started() {
    assert_eq!(state(r#"{"Status":"created","StartedAt":"0001-01-01T00:00:00Z"}"#).started_at(), None);
    let started = state(r#"{"Status":"exited","StartedAt":"2026-11-23T22:06:10.587251749Z"}"#).started_at();
    assert_eq!(started.expect("valid").to_string(), "2026-11-23T22:06:10.587Z");
}
