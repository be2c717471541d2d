//! A process that hangs ends itself, shown on real processes: this test's own binary, started again as a
//! small agent that hangs in one way.
#![allow(clippy::unwrap_used, clippy::panic)]

use fleet_agent::supervision::{
    Address, Budget, Context, Ending, Fault, Strategy, SupervisorSpec, Worker, run_root_watched, worker,
};
use fleet_agent::watchdog::breadcrumb::{self, Breadcrumb};
use fleet_agent::watchdog::{self, Deeds, Limits, Vitals};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const EVERY: Duration = Duration::from_millis(20);
/// Half a second in all.
const PATIENCE: u32 = 25;
const HANGS: &str = "WATCHDOG_TEST_HANGS";
const STATE_DIR: &str = "WATCHDOG_TEST_STATE_DIR";

#[derive(Clone, Copy)]
enum Hang {
    Spins,
    SpinsByTimer,
    WaitsForAMutex,
}

struct Toy;

impl Worker for Toy {
    type Msg = Hang;
    type Args = ();

    fn start((): (), _ctx: &mut Context<Hang>) -> Result<Self, Fault> {
        Ok(Self)
    }

    fn handle(&mut self, hang: Hang, ctx: &mut Context<Hang>) -> Result<(), Fault> {
        match hang {
            Hang::SpinsByTimer => {
                ctx.after("spin", EVERY, Hang::Spins);
                Ok(())
            }
            Hang::Spins => loop {
                std::hint::spin_loop();
            },
            Hang::WaitsForAMutex => wait_for_ever(),
        }
    }

    fn kind(hang: &Hang) -> &'static str {
        match hang {
            Hang::Spins => "Spins",
            Hang::SpinsByTimer => "SpinsByTimer",
            Hang::WaitsForAMutex => "WaitsForAMutex",
        }
    }
}

fn wait_for_ever() -> ! {
    let mutex = Arc::new(Mutex::new(()));
    std::mem::forget(mutex.clone().lock());
    let _second = mutex.lock();
    unreachable!("it was locked for ever")
}

/// Not a test: what the tests below start. Says `alive` with each keep-alive, `task` from a tokio task.
#[test]
#[ignore = "the process that the tests of this file watch"]
fn hanging_process() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(hanging(&std::env::var(HANGS).unwrap()));
}

async fn hanging(way: &str) {
    let vitals = Vitals::default();
    watchdog::start(vitals.clone(), Limits { every: EVERY, patience: PATIENCE }, deeds(way)).unwrap();
    let toy = Address::new();
    let spec = SupervisorSpec {
        name: "t",
        about: "",
        strategy: Strategy::OneForOne,
        budget: Budget { max: 1, within: Duration::from_secs(1) },
        ending: Ending::Escalate,
        children: vec![worker::<Toy>("toy", "", (), toy.clone())],
    };
    let root = run_root_watched(spec, |board| vitals.board(board)).await;
    vitals.root(root.clone());
    match way {
        "spins" => drop(toy.send(Hang::Spins)),
        "timer" => drop(toy.send(Hang::SpinsByTimer)),
        "mutex" => drop(toy.send(Hang::WaitsForAMutex)),
        "worker" => drop(tokio::spawn(async { wait_for_ever() })),
        "workers" => (0..2).for_each(|_| drop(tokio::spawn(async { wait_for_ever() }))),
        "watchdog" | "healthy" => {}
        other => panic!("{other}"),
    }
    let every = if way == "timer" { 4 * EVERY } else { EVERY };
    tokio::spawn(async move {
        loop {
            println!("task");
            tokio::time::sleep(every).await;
        }
    });
    root.wait().await;
}

fn deeds(way: &str) -> Deeds {
    let state_dir = PathBuf::from(std::env::var(STATE_DIR).unwrap());
    let mut left = if way == "watchdog" { 3 } else { u32::MAX };
    let keep_alive = move || {
        println!("alive");
        left -= 1;
        assert!(left > 0, "the watchdog's thread dies");
    };
    Deeds {
        keep_alive: Some((EVERY, Box::new(keep_alive))),
        end: Box::new(move |hang| {
            breadcrumb::end_process(&state_dir, Breadcrumb::new("0", hang.to_string()))
        }),
    }
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

fn start(way: &str, state_dir: &Path) -> Process {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hanging_process", "--ignored", "--nocapture"])
        .env(HANGS, way)
        .env(STATE_DIR, state_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Process { child, lines }
}

impl Process {
    /// Reads on until `line` has been said so often; returns how often `other` was said meanwhile.
    async fn hear(&mut self, line: &str, times: usize, other: &str) -> usize {
        let (mut heard, mut others) = (0, 0);
        while heard < times {
            let next = self.lines.next_line().await.unwrap().expect("it ended");
            heard += usize::from(next == line);
            others += usize::from(next == other);
        }
        others
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill").arg(format!("-{name}")).arg(pid).status();
        assert!(status.unwrap().success(), "kill -{name}");
    }
}

/// Its end, and what the next process would say of it.
async fn hangs(way: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut process = start(way, dir.path());
    while process.lines.next_line().await.unwrap().is_some() {}
    let end = process.child.wait().await.unwrap();
    let told = breadcrumb::collect(dir.path()).map(|left| left.line).unwrap_or_default();
    // The first word is a time.
    (end.code(), told.split_once(' ').map(|(_, reason)| reason.to_owned()).unwrap_or_default())
}

#[tokio::test]
async fn a_handler_that_spins_ends_the_process_with_70_and_a_word_of_it() {
    assert_eq!(hangs("spins").await, (Some(70), "t/toy does not end handling Spins".into()));
}

/// Whose thread was the one that waited for timers and sockets.
#[tokio::test]
async fn while_a_handler_spins_that_a_timer_woke_all_other_tasks_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = start("timer", dir.path());
    let mut tasks = 0;
    while let Some(line) = process.lines.next_line().await.unwrap() {
        tasks += usize::from(line == "task");
    }
    assert_eq!(process.child.wait().await.unwrap().code(), Some(70));
    // It has half a second, in which six are due.
    assert!(tasks >= 4, "{tasks}");
}

#[tokio::test]
async fn a_handler_that_waits_for_a_mutex_ends_the_process_with_70_and_a_word_of_it() {
    assert_eq!(hangs("mutex").await, (Some(70), "t/toy does not end handling WaitsForAMutex".into()));
}

#[tokio::test]
async fn tasks_that_block_all_workers_end_the_process_with_70_and_a_word_of_it() {
    assert_eq!(hangs("workers").await, (Some(70), "no worker thread runs any task".into()));
}

#[tokio::test]
async fn a_task_of_no_actor_that_blocks_one_worker_ends_the_process_with_70_and_a_word_of_it() {
    assert_eq!(hangs("worker").await, (Some(70), "a worker thread does not come back from a task".into()));
}

#[tokio::test]
async fn without_its_watchdog_a_process_sends_no_keep_alive() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = start("watchdog", dir.path());
    process.hear("alive", 3, "task").await;
    assert_eq!(process.hear("task", 50, "alive").await, 0);
}

#[tokio::test]
async fn a_process_that_was_stopped_for_long_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = start("healthy", dir.path());
    process.hear("alive", 3, "task").await;
    process.signal("STOP");
    // Four times its patience: that time passes is what is tested.
    tokio::time::sleep(EVERY * PATIENCE * 4).await;
    process.signal("CONT");
    process.hear("alive", 3 * PATIENCE as usize, "task").await;
    assert_eq!(breadcrumb::collect(dir.path()), None);
}
