use super::*;
use crate::supervision::{Budget, Ending, Strategy, SupervisorSpec, run_root};
use std::sync::mpsc;

const PATIENCE: u32 = 3;

async fn root() -> Root {
    run_root(SupervisorSpec {
        name: "t",
        about: "",
        strategy: Strategy::OneForOne,
        budget: Budget { max: 1, within: Duration::from_secs(1) },
        ending: Ending::Escalate,
        children: vec![],
    })
    .await
}

impl Vitals {
    fn beat_once(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    fn answer_once(&self) {
        self.0.answers.fetch_add(1, Ordering::Relaxed);
    }
}

fn dog() -> (Vitals, Watchdog) {
    let vitals = Vitals::default();
    (vitals.clone(), Watchdog::new(vitals, PATIENCE))
}

#[test]
fn tasks_that_do_not_run_for_more_than_its_patience_are_a_hang() {
    let (vitals, mut dog) = dog();
    vitals.beat_once();
    assert_eq!(dog.look(), None);
    for _ in 0..PATIENCE {
        assert_eq!(dog.look(), None);
    }
    assert_eq!(dog.look(), Some(Hang::Workers));
}

#[test]
fn one_beat_is_enough_to_begin_anew() {
    let (vitals, mut dog) = dog();
    for _ in 0..10 {
        vitals.beat_once();
        for _ in 0..=PATIENCE {
            assert_eq!(dog.look(), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_root_that_takes_no_orders_is_a_hang_unless_it_stops_in_order() {
    let (vitals, mut dog) = dog();
    let root = root().await;
    root.stop(Duration::from_secs(1)).await;
    vitals.root(root);
    tokio::spawn(vitals.clone().beat(Duration::from_secs(1)));
    let mut found = vec![];
    for _ in 0..=PATIENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        found.push(dog.look());
    }
    assert_eq!(found.pop(), Some(Some(Hang::Root)));
    assert!(found.iter().all(Option::is_none), "{found:?}");
    vitals.stopping();
    assert_eq!(dog.look(), None);
}

#[tokio::test(start_paused = true)]
async fn an_idle_tree_is_alive_for_hours() {
    let (vitals, mut dog) = dog();
    let root = root().await;
    vitals.board(root.board());
    vitals.root(root);
    tokio::spawn(vitals.beat(Duration::from_secs(1)));
    for _ in 0..10_000 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(dog.look(), None);
        // The first answer is counted with the second beat.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(dog.progressed());
    }
}

#[tokio::test(start_paused = true)]
async fn progress_means_that_tasks_ran_and_the_root_answered() {
    let (vitals, mut dog) = dog();
    vitals.beat_once();
    assert!(dog.progressed(), "it is not up yet");
    assert!(!dog.progressed(), "nothing happened since");
    vitals.root(root().await);
    vitals.beat_once();
    assert!(!dog.progressed(), "no answer");
    vitals.answer_once();
    assert!(dog.progressed());
    vitals.answer_once();
    assert!(!dog.progressed(), "no beat");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_thread_ends_a_process_whose_only_worker_is_blocked() {
    let (found, hang) = mpsc::channel();
    let limits = Limits { every: Duration::from_millis(20), patience: 5 };
    let end = Box::new(move |hang: &Hang| found.send(hang.clone()).unwrap());
    start(Vitals::default(), limits, Deeds { keep_alive: None, end }).unwrap();
    let (open, gate) = mpsc::channel::<()>();
    tokio::spawn(async move { gate.recv() });
    // The test itself runs on a thread of its own, which no task needs.
    assert_eq!(hang.recv_timeout(Duration::from_secs(30)), Ok(Hang::Workers));
    drop(open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keep_alives_are_sent_while_there_is_progress() {
    let (sent, keep_alives) = mpsc::channel();
    let limits = Limits { every: Duration::from_secs(1), patience: 30 };
    let keep_alive: Box<dyn FnMut() + Send> = Box::new(move || {
        let _ = sent.send(());
    });
    let keep_alive = Some((Duration::from_millis(20), keep_alive));
    start(Vitals::default(), limits, Deeds { keep_alive, end: Box::new(|_| ()) }).unwrap();
    for _ in 0..3 {
        keep_alives.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}

#[test]
fn what_hangs_is_said_with_its_name() {
    let stuck = Stuck { actor: "fleet-agent/reconcilers/web".into(), message: "Want" };
    assert_eq!(Hang::Actor(stuck).to_string(), "fleet-agent/reconcilers/web does not end handling Want");
}
