use super::*;

fn state(link: &Link) -> LinkState {
    link.watch().borrow().clone()
}

#[test]
fn every_connection_has_its_own_epoch() {
    let link = Link::new();
    link.connected("a".into());
    assert_eq!(link.epoch(), Some(1));
    link.disconnected(None);
    assert_eq!(link.epoch(), None);
    link.connected("b".into());
    assert_eq!(state(&link), LinkState::Connected { server: "b".into(), epoch: 2 });
}

#[test]
fn attempts_and_the_last_error_are_told() {
    let link = Link::new();
    link.attempt(3);
    link.complaint("refused");
    assert_eq!(state(&link), LinkState::Connecting { attempts: 3, last_error: Some("refused".into()) });
}

#[test]
fn a_credential_error_is_told_instead_of_what_the_client_makes_of_it() {
    let link = Link::new();
    link.attempt(1);
    link.credentials(Some("no such file".into()));
    // The next attempt begins before the event of the last one is read.
    link.attempt(2);
    link.complaint("nats: failed signing nonce");
    assert_eq!(state(&link), LinkState::Connecting { attempts: 2, last_error: Some("no such file".into()) });
    link.complaint("nats: timed out");
    assert_eq!(
        state(&link),
        LinkState::Connecting { attempts: 2, last_error: Some("nats: timed out".into()) }
    );
}

#[test]
fn a_complaint_is_new_once_until_the_connection_changes() {
    let link = Link::new();
    assert!(link.is_new("refused"));
    assert!(!link.is_new("refused"));
    assert!(link.is_new("timed out"));
    assert!(!link.is_new("refused"), "alternating complaints would fill the log");
    link.connected("a".into());
    assert!(link.is_new("refused"));
}

#[test]
fn complaints_that_never_repeat_do_not_grow_the_memory() {
    let link = Link::new();
    let logged = (0..1000).filter(|n| link.is_new(&n.to_string())).count();
    assert_eq!(logged, MAX_COMPLAINTS);
}

#[test]
fn a_complaint_of_the_server_does_not_end_the_connection() {
    let link = Link::new();
    link.connected("a".into());
    link.complaint("permissions violation");
    link.attempt(1);
    assert_eq!(link.epoch(), Some(1));
}
