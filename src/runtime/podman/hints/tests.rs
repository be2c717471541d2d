//! Events recorded from 4.3.1.
use super::*;

fn event(action: &str, attributes: &str) -> Vec<u8> {
    format!(
        r#"{{"status":"{action}","id":"d531","Type":"container","Action":"{action}","Actor":{{"ID":"d531","Attributes":{attributes}}},"scope":"local","time":1795472042}}"#
    )
    .into_bytes()
}

#[test]
fn a_death_and_a_removal_are_hints_to_look_at_the_deployment() {
    let attributes =
        r#"{"containerExitCode":"4","exitCode":"4","io.fleet.deployment":"web","io.fleet.device":"d1"}"#;
    for action in ["die", "remove", "start", "rename"] {
        let hint = hint(&event(action, attributes)).expect(action);
        assert_eq!(hint.deployment.as_str(), "web");
    }
}

#[test]
fn what_goes_on_inside_a_container_is_no_news() {
    for action in ["exec_died", "exec", "attach", "cleanup", "init"] {
        assert_eq!(hint(&event(action, r#"{"io.fleet.deployment":"web"}"#)), None, "{action}");
    }
}

#[test]
fn an_event_without_a_readable_deployment_is_no_hint() {
    assert_eq!(hint(&event("die", r#"{"io.fleet.deployment":"Not A Name"}"#)), None);
    assert_eq!(hint(&event("die", "{}")), None);
}

#[test]
fn a_line_that_nobody_understands_ends_nothing() {
    assert_eq!(hint(b"not json"), None);
    assert_eq!(hint(br#"{"Type":"pod","Action":"create"}"#), None);
}
