use super::{Actor, ActorKind, ActorState, ActorsReply, ErrorCode, Verb};
use crate::Timestamp;

fn actor(name: &str, parent: Option<&str>) -> Actor {
    Actor {
        name: name.into(),
        parent: parent.map(String::from),
        kind: ActorKind::Worker,
        state: ActorState::Running,
        waiting_for: None,
        retry_in_ms: None,
        restarts: 0,
        since: Timestamp::now(),
        last_error: None,
        last_progress_ms: 0,
        mailbox: 0,
        doing: None,
        strategy: None,
        budget: None,
    }
}

fn tree(actors: &[(&str, Option<&str>)]) -> Vec<(usize, String)> {
    let actors = actors.iter().map(|(name, parent)| actor(name, *parent)).collect();
    let reply = ActorsReply {
        device_id: "dev-1".parse().unwrap(),
        instance: "i".into(),
        at: Timestamp::now(),
        actors,
    };
    reply.in_tree().iter().map(|node| (node.depth, node.actor.short_name().to_string())).collect()
}

fn expected(nodes: &[(usize, &str)]) -> Vec<(usize, String)> {
    nodes.iter().map(|(depth, name)| (*depth, name.to_string())).collect()
}

#[test]
fn a_listing_becomes_a_tree_whatever_its_order() {
    let listed =
        [("r/a", Some("r")), ("r/b/c", Some("r/b")), ("r", None), ("r/b", Some("r")), ("r/a/d", Some("r/a"))];
    let nodes = [(0, "r"), (1, "a"), (2, "d"), (1, "b"), (2, "c")];
    assert_eq!(tree(&listed), expected(&nodes));
}

#[test]
fn orphans_and_circles_are_shown_and_not_hidden() {
    assert_eq!(tree(&[("x/y", Some("x"))]), expected(&[(0, "y")]));
    assert_eq!(tree(&[("a", Some("b")), ("b", Some("a"))]).len(), 2);
    assert_eq!(tree(&[("a", Some("a")), ("r", None)]), expected(&[(0, "r"), (0, "a")]));
}

#[test]
fn every_verb_is_offered_under_its_documented_word() {
    let words = Verb::ALL.map(Verb::as_str);
    assert_eq!(
        words,
        [
            "ping",
            "status",
            "actors",
            "actor-restart",
            "inventory",
            "reconcile",
            "confirm",
            "plan",
            "log-level"
        ]
    );
    assert_eq!(words, Verb::ALL.map(|verb| verb.to_string()));
}

#[test]
fn every_error_code_keeps_its_number() {
    for code in [400, 403, 404, 409, 500, 503, 504] {
        assert_eq!(u16::from(ErrorCode::from(code)), code);
    }
}
