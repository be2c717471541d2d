use super::*;
use crate::domain::container::{ContainerId, Process};
use crate::domain::desired::Wanted;

/// `web` depends on `db` under this condition; `db` is a job, has a check, or neither.
fn wanted(condition: &str) -> Wanted {
    let restart = if condition == "completed" { "never" } else { "always" };
    let document = format!(
        r#"{{"type": "PodmanV0", "data": {{"services": [
            {{"name": "web", "image": "a", "depends_on": [{{"service": "db", "condition": "{condition}"}}]}},
            {{"name": "db", "image": "a", "restart": "{restart}", "healthcheck": {{"test": ["CMD", "a"]}}}}]}}}}"#
    );
    Wanted::read(document.as_bytes(), 1).unwrap()
}

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn container(service: &str, depends_on: &[&str], status: Status) -> Container {
    Container {
        id: ContainerId::new(service),
        name: service.into(),
        deployment: "shop".parse().unwrap(),
        service: name(service),
        digest: None,
        secrets: None,
        depends_on: depends_on.iter().map(|on| name(on)).collect(),
        status,
        image_id: None,
        started_at: None,
    }
}

const ALIVE: Status = Status::Running(Process { pid: 7, start_ticks: 7 });

/// What `web` may do while `db` is so. The old ones are of another spec.
fn allowed(condition: &str, status: Status, is_old: bool, is_healthy: bool) -> (bool, bool) {
    let wanted = wanted(condition);
    let target = &wanted.targets[&name("db")];
    let digest = (!is_old).then(|| target.digest.clone());
    let main = Some(Container { digest, ..container("db", &[], status) });
    let view = View { main, ..View::default() };
    let other = |_: &ServiceName| Some(Other { target, view: &view, is_healthy, end: None });
    let gate = gate(&wanted.targets[&name("web")], other);
    (gate.may_restart, gate.may_begin)
}

#[test]
fn a_service_starts_when_what_it_depends_on_is_as_the_condition_says() {
    const SHUT: (bool, bool) = (false, false);
    const OPEN: (bool, bool) = (true, true);
    let exited = |code| Status::Exited { code };
    for (condition, status, is_healthy, gate) in [
        ("started", Status::Created, false, SHUT),
        ("started", ALIVE, false, OPEN),
        ("started", exited(0), false, SHUT),
        ("healthy", ALIVE, false, SHUT),
        ("healthy", ALIVE, true, OPEN),
        ("healthy", exited(0), true, SHUT),
        ("completed", ALIVE, true, SHUT),
        ("completed", exited(1), true, SHUT),
        ("completed", exited(0), false, OPEN),
    ] {
        assert_eq!(allowed(condition, status, false, is_healthy), gate, "{condition} {status:?}");
    }
}

#[test]
fn an_update_waits_for_the_update_of_what_it_depends_on_and_a_restart_does_not() {
    assert_eq!(allowed("started", ALIVE, true, false), (true, false));
    assert_eq!(allowed("healthy", ALIVE, true, false), (true, false), "nobody checks a former one");
}

#[test]
fn what_depends_on_a_service_is_stopped_before_it() {
    let all =
        [container("web", &["api"], ALIVE), container("api", &["db"], ALIVE), container("db", &[], ALIVE)];
    let may = |which: &str, all: &[Container]| may_go(&name(which), all.iter());
    assert_eq!(["web", "api", "db"].map(|which| may(which, &all)), [true, false, false]);
    let mut dead = all.clone();
    dead[0].status = Status::Exited { code: 0 };
    assert_eq!(["api", "db"].map(|which| may(which, &dead)), [true, false]);
    let mut between = all.clone();
    between[1].status = Status::Exited { code: 0 };
    assert_eq!(["web", "api", "db"].map(|which| may(which, &between)), [true, false, false], "a job between");
}

#[test]
fn containers_of_two_documents_that_contradict_each_other_do_not_wait_for_ever() {
    let all = [container("web", &["db"], ALIVE), container("db", &["web"], ALIVE)];
    assert!(may_go(&name("web"), all.iter()) && may_go(&name("db"), all.iter()));
}
