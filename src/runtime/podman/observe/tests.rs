use super::*;

fn observer() -> Observer {
    Observer::new("d1".parse().expect("valid"), "/nix".into())
}

fn state(status: &str, pid: u32) -> InspectedState {
    let json =
        serde_json::json!({ "Status": status, "Running": status == "running", "Pid": pid, "ExitCode": 3 });
    serde_json::from_value(json).expect("valid")
}

/// No process has it: above the largest pid there is.
const NOBODY: u32 = u32::MAX;

#[test]
fn running_is_believed_only_with_a_process() {
    let (observer, id) = (observer(), ContainerId::new("c"));
    let me = process::find(std::process::id()).expect("readable").expect("alive");
    assert_eq!(observer.verdict(&id, &state("running", me.pid), true), Some(Status::Running(me)));
    assert_eq!(observer.verdict(&id, &state("running", NOBODY), true), None);
    assert_eq!(observer.verdict(&id, &state("running", 0), true), None);
}

#[test]
fn another_process_under_the_containers_pid_is_not_its_process() {
    let (observer, id) = (observer(), ContainerId::new("c"));
    let me = process::find(std::process::id()).expect("readable").expect("alive");
    let before = Process { start_ticks: me.start_ticks - 1, ..me };
    let facts = Facts { status: Status::Running(before), pid: me.pid, started_at: None, image_id: None };
    observer.memory().remember(&id, facts);
    assert_eq!(observer.verdict(&id, &state("running", me.pid), true), None);
}

#[test]
fn in_a_foreign_pid_namespace_podmans_word_is_believed() {
    let (observer, id) = (observer(), ContainerId::new("c"));
    let unseen = Process { pid: NOBODY, start_ticks: process::UNSEEN };
    assert_eq!(observer.verdict(&id, &state("running", NOBODY), false), Some(Status::Running(unseen)));
}

#[test]
fn a_paused_container_is_alive_as_long_as_its_process() {
    let (observer, id) = (observer(), ContainerId::new("c"));
    assert_eq!(observer.verdict(&id, &state("paused", std::process::id()), true), Some(Status::Paused));
    assert_eq!(observer.verdict(&id, &state("paused", 0), true), None);
}

#[test]
fn a_removal_that_was_cut_off_is_told_from_one_that_goes_on() {
    let (observer, id) = (observer(), ContainerId::new("c"));
    let me = std::process::id();
    assert_eq!(observer.verdict(&id, &state("removing", me), true), Some(Status::Busy));
    assert_eq!(observer.verdict(&id, &state("removing", 0), true), None);
}

#[test]
fn a_state_that_nobody_understands_is_left_alone() {
    let (observer, id) = (observer(), ContainerId::new("c"));
    assert_eq!(observer.verdict(&id, &state("levitating", 0), true), Some(Status::Busy));
}

#[test]
fn an_exit_code_that_changed_is_looked_up_again() {
    let (observer, id) = (observer(), ContainerId::new("c"));
    let facts = Facts { status: Status::Exited { code: 3 }, pid: 0, started_at: None, image_id: None };
    observer.memory().remember(&id, facts.clone());
    let row = |status: &str| -> Row {
        serde_json::from_value(serde_json::json!({ "Id": "c", "State": "exited", "Status": status }))
            .expect("valid")
    };
    assert_eq!(observer.remembered(&row("Exited (3) 2 minutes ago")), Some(facts));
    assert_eq!(observer.remembered(&row("Exited (4) 1 second ago")), None);
}

#[tokio::test(start_paused = true)]
async fn inspects_that_hang_keep_no_other_waiting_for_more_than_their_turns() {
    let observer = observer();
    let hanging = join_all((0..10 * CONCURRENT).map(|_| observer.in_turn(std::future::pending::<()>())));
    let answered = async {
        // Behind all of them.
        tokio::task::yield_now().await;
        observer.in_turn(std::future::ready(())).await;
    };
    tokio::select! {
        biased;
        _ = hanging => unreachable!("they hang"),
        came = timeout(11 * TURN, answered) => came.expect("its turn comes"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_podman_that_describes_no_container_holds_up_a_list_for_half_a_minute_and_hides_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("podman.sock");
    // Connections are made, and nobody ever answers.
    let _silent = tokio::net::UnixListener::bind(&socket).expect("a socket");
    let observer = Observer::new("d1".parse().expect("valid"), socket);
    let draft = |n: usize| Draft {
        id: ContainerId::new(&n.to_string()),
        name: format!("fleet-web.s{n}"),
        identity: Identity {
            deployment: "web".parse().expect("valid"),
            service: format!("s{n}").parse().expect("valid"),
            digest: None,
            secrets: None,
            depends_on: vec![],
        },
    };
    let begun = Instant::now();
    let examined = observer.examine_all((0..200).map(draft).collect(), Until::CleanedUp).await;
    assert_eq!(begun.elapsed().as_secs(), TOGETHER.as_secs());
    assert_eq!(examined.len(), 200);
    assert!(examined.iter().all(|(_, facts)| matches!(facts, Err(Failure::Deadline))));
}
