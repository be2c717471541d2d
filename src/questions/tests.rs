use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

const SOON: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

fn mount() -> About {
    About::Path("/mnt/dead".into())
}

/// A disk that does not answer as long as the other end lives.
fn hangs(end: Receiver<()>) -> impl FnOnce() + Send + 'static {
    move || {
        let _ = end.recv();
    }
}

#[tokio::test]
async fn what_hangs_takes_one_thread_however_often_it_is_asked_and_holds_up_nothing_else() {
    let (hold, end) = channel();
    assert_eq!(ask(mount(), SOON, hangs(end)).await, None);
    let begun = Arc::new(AtomicUsize::new(0));
    for _ in 0..20 {
        let begun = begun.clone();
        assert_eq!(ask(mount(), SOON, move || begun.fetch_add(1, Ordering::SeqCst)).await, None);
    }
    assert_eq!(begun.load(Ordering::SeqCst), 0, "a second thread waits for the same disk");
    assert_eq!(ask(About::Path("/mnt/other".into()), PATIENCE, || 7).await, Some(7));
    assert_eq!(ask(About::Lock, PATIENCE, || 8).await, Some(8));
    drop(hold);
    assert_eq!(ask(mount(), PATIENCE, || 9).await, Some(9), "it answers again");
}

#[tokio::test]
async fn a_panic_in_a_question_is_no_answer_and_ends_its_turn() {
    assert_eq!(ask(mount(), PATIENCE, || panic!("as bugs do")).await, None::<()>);
    assert_eq!(ask(mount(), PATIENCE, || 1).await, Some(1));
}

#[tokio::test]
async fn all_that_ask_at_once_are_answered() {
    let asked = (0..100).map(|n| ask(About::Lock, PATIENCE, move || n));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers, (0..100).map(Some).collect::<Vec<_>>());
}
