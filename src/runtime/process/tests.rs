use super::*;
use std::process::{Child, Command};

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().expect("sleep(1) exists")
}

fn of(child: &Child) -> Process {
    find(child.id()).expect("readable").expect("just started")
}

#[test]
fn a_program_name_with_parentheses_does_not_shift_the_fields() {
    let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
    assert_eq!(parse(stat), Some(987_654));
}

#[test]
fn a_zombie_counts_as_gone() {
    let mut child = sleeper();
    let process = of(&child);
    assert!(is_alive(process));
    child.kill().expect("ours");
    // Not waited for: it stays a zombie until then.
    while !std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).expect("zombie").contains(") Z ") {
        std::thread::yield_now();
    }
    assert!(!is_alive(process));
    child.wait().expect("ours");
}

#[test]
fn another_process_with_the_same_pid_is_not_this_process() {
    let mut child = sleeper();
    let process = of(&child);
    assert!(!is_alive(Process { start_ticks: process.start_ticks + 1, ..process }));
    child.kill().and_then(|()| child.wait()).expect("ours");
}

#[tokio::test]
async fn death_comes_when_the_process_dies_and_not_before() {
    let mut child = sleeper();
    let process = of(&child);
    let waiting = tokio::spawn(death(process));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    child.kill().expect("ours");
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("death is noticed").expect("no panic");
    child.wait().expect("ours");
}

#[tokio::test]
async fn death_is_at_once_for_a_recycled_pid_and_for_one_long_gone() {
    let mut child = sleeper();
    let recycled = Process { start_ticks: 7, ..of(&child) };
    tokio::time::timeout(Duration::from_secs(5), death(recycled)).await.expect("at once");
    let gone = of(&child);
    child.kill().and_then(|()| child.wait()).expect("ours");
    tokio::time::timeout(Duration::from_secs(5), death(gone)).await.expect("at once");
}

#[tokio::test(start_paused = true)]
async fn of_a_process_that_cannot_be_seen_no_death_is_invented() {
    let unseen = Process { pid: u32::MAX, start_ticks: UNSEEN };
    assert!(is_alive(unseen));
    assert!(tokio::time::timeout(Duration::from_secs(3600), death(unseen)).await.is_err());
}

#[test]
fn pids_are_shared_within_a_namespace_and_not_with_the_absent() {
    assert!(shares_pids(std::process::id()));
    assert!(!shares_pids(u32::MAX));
}
