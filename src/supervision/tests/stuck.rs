use super::toy::*;
use crate::supervision::*;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::task::block_in_place;

const PATIENCE: u32 = 3;

/// Something to do that ends when told: `entered` hears of its begin.
fn gate() -> (impl Fn() + Clone + Send + Sync + 'static, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (entered, is_in) = mpsc::channel();
    let (open, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let block = move || {
        let _ = entered.send(());
        let wait = wait.clone();
        // Closed: the test is over.
        let _ = block_in_place(move || wait.lock().unwrap().recv());
    };
    (block, is_in, open)
}

fn look_often(board: &Board) -> Option<Stuck> {
    (0..PATIENCE).for_each(|_| drop(board.look(PATIENCE)));
    board.look(PATIENCE)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_does_not_return_is_found_with_its_message_until_it_does() {
    let (log, at) = (Log::default(), Toys::new());
    let children = vec![toy("a", &log, &at), toy("b", &log, &Toys::new())];
    let tree = run(Strategy::OneForOne, PATIENT, children, log).await;
    let (block, is_in, open) = gate();
    tell(&at, move |_| {
        block();
        Ok(())
    });
    is_in.recv().unwrap();
    // Looks follow each other at once here: a supervisor that the machine interrupts in the middle of
    // an order may be found first.
    let found = || look_often(&tree.board) == Some(Stuck { actor: "t/a".into(), message: "Deed" });
    until("found", found).await;
    open.send(()).unwrap();
    until("idle", || look_often(&tree.board).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_stuck_after_a_crash_or_while_parked() {
    let (log, at) = (Log::default(), Toys::new());
    let budget = Budget { max: 1, within: HOUR };
    let spec = spec(Strategy::OneForOne, budget, Ending::Park(HOUR), vec![toy("a", &log, &at)]);
    let tree = run_spec(spec, log).await;
    while panics(&at) {
        calm().await;
        assert_eq!(look_often(&tree.board), None);
    }
    pass(Duration::from_secs(60)).await;
    assert_eq!(look_often(&tree.board), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_hangs_is_found_although_the_tree_is_not_up_yet() {
    let (block, is_in, open) = gate();
    let script = Script::new("a", &Log::default()).on_start(move |_| {
        block();
        Ok(())
    });
    let children = vec![scripted(script, &Toys::new())];
    let (boards, seen) = mpsc::channel();
    let up = tokio::spawn(run_root_watched(
        spec(Strategy::OneForOne, PATIENT, Ending::Escalate, children),
        move |board| boards.send(board).unwrap(),
    ));
    let board = block_in_place(|| seen.recv().unwrap());
    block_in_place(|| is_in.recv().unwrap());
    assert_eq!(look_often(&board), Some(Stuck { actor: "t/a".into(), message: "its start" }));
    open.send(()).unwrap();
    up.await.unwrap();
    assert_eq!(look_often(&board), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_hangs_is_found_too() {
    let (log, at) = (Log::default(), Toys::new());
    let (block, is_in, _open) = gate();
    let blocks = Arc::new(Mutex::new(false));
    let (blocked, hook) = (blocks.clone(), block.clone());
    let child = toy("a", &log, &at).on_up(move || {
        if *blocked.lock().unwrap() {
            hook();
        }
    });
    let tree = run(Strategy::OneForOne, PATIENT, vec![child], log).await;
    *blocks.lock().unwrap() = true;
    crash(&at);
    block_in_place(|| is_in.recv().unwrap());
    assert_eq!(look_often(&tree.board), Some(Stuck { actor: "t".into(), message: "Started" }));
}
