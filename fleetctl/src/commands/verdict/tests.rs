use super::Verdict::{self, Done, Waiting};
use super::judge;
use crate::fixtures::state;
use serde_json::{Value, json};

fn verdict(fields: Value) -> Verdict {
    judge(&state(fields), 12)
}

fn error(code: &str, message: &str) -> Value {
    json!({"code": code, "service": null, "message": message, "retry_at": null})
}

#[test]
fn it_is_done_when_our_revision_or_a_later_one_runs() {
    assert_eq!(verdict(json!({})), Done);
    assert_eq!(verdict(json!({"observed_revision": 13, "phase": "Completed"})), Done);
    assert_eq!(verdict(json!({"observed_revision": 11})), Waiting);
    assert_eq!(verdict(json!({"observed_revision": null})), Waiting);
}

#[test]
fn everything_on_the_way_is_waited_for() {
    for phase in ["Pending", "Pulling", "Starting", "Updating", "Degraded", "Stopping", "Newer"] {
        assert_eq!(verdict(json!({"phase": phase})), Waiting, "{phase}");
    }
}

#[test]
fn a_deployment_that_failed_at_our_revision_has_failed() {
    for phase in ["Failed", "Held"] {
        assert!(matches!(verdict(json!({"phase": phase})), Verdict::Failed(_)), "{phase}");
        assert_eq!(verdict(json!({"phase": phase, "observed_revision": 11})), Waiting, "{phase}");
    }
}

#[test]
fn a_refusal_that_names_our_revision_is_ours() {
    let refused = |message: &str| {
        let error = error("invalid-spec", message);
        verdict(json!({"phase": "Failed", "observed_revision": 9, "last_error": error}))
    };
    assert_eq!(refused("revision 12: data: …"), Verdict::Failed("the device refuses the document".into()));
    assert!(matches!(refused("revision 13: data: …"), Verdict::Failed(why) if why.contains("revision 13")));
    assert_eq!(refused("revision 11: data: …"), Waiting);
    assert_eq!(refused("revision twelve: data: …"), Waiting);
}

#[test]
fn an_error_that_only_looks_like_a_refusal_is_none() {
    let error = error("image-pull", "revision 12: no such tag");
    assert_eq!(verdict(json!({"phase": "Degraded", "last_error": error})), Waiting);
}

#[test]
fn a_quarantined_deployment_is_not_waited_for() {
    let error = error("quarantined", "ended the process twice");
    let state = json!({"phase": "Failed", "observed_revision": 9, "last_error": error});
    assert!(matches!(verdict(state), Verdict::Failed(_)));
}
