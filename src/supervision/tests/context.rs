use super::toy::*;
use crate::supervision::*;
use fleet_contracts::commands::Cause;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::task::block_in_place;

const SOON: Duration = Duration::from_secs(10);

async fn one() -> (Tree, Toys) {
    let (log, at) = (Log::default(), Toys::new());
    let tree = run(Strategy::OneForOne, PATIENT, vec![toy("a", &log, &at)], log).await;
    (tree, at)
}

fn note(log: &Log, what: &'static str) -> Deed {
    let log = log.clone();
    deed(move |_| {
        log.note(what);
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn a_tasks_result_comes_back_as_a_message() {
    let (tree, at) = one().await;
    let (async_work, disk_work) = (note(&tree.log, "fetched"), note(&tree.log, "written"));
    tell(&at, move |ctx| {
        ctx.spawn("fetch", async move { async_work });
        ctx.spawn_blocking("write", move || disk_work);
        Ok(())
    });
    until("both", || tree.log.count("fetched") == 1 && tree.log.count("written") == 1).await;
    assert_eq!(tree.actor("t/a").doing, None);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_task_crashes_its_actor() {
    for blocking in [false, true] {
        let (tree, at) = one().await;
        tell(&at, move |ctx| {
            match blocking {
                false => ctx.spawn("fetch", async { panic!("no route") }),
                true => ctx.spawn_blocking("write", || panic!("no route")),
            };
            Ok(())
        });
        tree.until_up("t/a", 1).await;
        let error = tree.actor("t/a").last_error.unwrap();
        assert_eq!((error.cause, error.message.as_str()), (Cause::Panic, "no route"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_never_ends_is_shown_and_then_its_actor_is_replaced() {
    let (tree, at) = one().await;
    tell(&at, |ctx| {
        ctx.spawn("fetch", pending());
        Ok(())
    });
    until("shown", || tree.actor("t/a").doing.is_some_and(|doing| doing.what == "fetch")).await;
    pass(Duration::from_secs(120)).await;
    tree.until_up("t/a", 1).await;
    let error = tree.actor("t/a").last_error.unwrap();
    assert_eq!((error.cause, error.message.as_str()), (Cause::Unresponsive, "fetch: no end within 120 s"));
    assert_eq!(tree.actor("t/a").doing, None);
}

#[tokio::test(start_paused = true)]
async fn a_task_without_limit_is_waited_for() {
    let (tree, at) = one().await;
    tell(&at, |ctx| {
        ctx.spawn_unlimited("listen", pending());
        Ok(())
    });
    until("shown", || tree.actor("t/a").doing.is_some()).await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(tree.actor("t/a").restarts, 0);
    assert_eq!(tree.actor("t/a").doing.unwrap().what, "listen");
}

struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_die_with_their_actor() {
    type End = fn(&Toys) -> bool;
    let ends: [End; 3] = [crash, panics, |at| {
        at.kill();
        true
    }];
    for end in ends {
        let (tree, at) = one().await;
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Flag(dropped.clone());
        tell(&at, move |ctx| {
            ctx.background(async move {
                let _flag = flag;
                pending().await
            });
            Ok(())
        });
        calm().await;
        assert!(!dropped.load(Ordering::SeqCst));
        end(&at);
        tree.until_up("t/a", 1).await;
        calm().await;
        assert!(dropped.load(Ordering::SeqCst));
    }
}

#[tokio::test(start_paused = true)]
async fn stale_timers_do_not_fire_into_the_new_incarnation() {
    let (tree, at) = one().await;
    let stale = note(&tree.log, "stale");
    tell(&at, move |ctx| {
        ctx.after("tick", SOON, stale);
        Ok(())
    });
    crash(&at);
    tree.until_up("t/a", 1).await;
    pass(2 * SOON).await;
    assert_eq!(tree.log.count("stale"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timer_fires_once_and_setting_it_again_replaces_it() {
    let (tree, at) = one().await;
    let (first, second) = (note(&tree.log, "first"), note(&tree.log, "second"));
    tell(&at, move |ctx| {
        ctx.after("tick", SOON, first);
        ctx.after("tick", 2 * SOON, second);
        Ok(())
    });
    pass(2 * SOON - Duration::from_millis(10)).await;
    assert_eq!((tree.log.count("first"), tree.log.count("second")), (0, 0));
    pass(10 * SOON).await;
    assert_eq!((tree.log.count("first"), tree.log.count("second")), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_does_not_come_even_if_it_lies_in_the_mailbox() {
    let (tree, at) = one().await;
    let (timer, task, last) = (note(&tree.log, "timer"), note(&tree.log, "task"), note(&tree.log, "last"));
    let (open, gate) = mpsc::channel::<()>();
    tell(&at, move |ctx| {
        ctx.after("tick", Duration::ZERO, timer);
        let task = ctx.spawn("fetch", async move { task });
        block_in_place(|| gate.recv().unwrap());
        ctx.cancel(task);
        ctx.cancel_timer("tick");
        Ok(())
    });
    until("both lie there", || tree.actor("t/a").mailbox == 2).await;
    open.send(()).unwrap();
    at.send(last);
    until("all is handled", || tree.log.count("last") == 1).await;
    assert_eq!((tree.log.count("timer"), tree.log.count("task")), (0, 0));
    assert_eq!(tree.actor("t/a").doing, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_set_again_is_new_even_if_the_old_one_lies_in_the_mailbox() {
    let (tree, at) = one().await;
    let (old, new, last) = (note(&tree.log, "old"), note(&tree.log, "new"), note(&tree.log, "last"));
    let (open, gate) = mpsc::channel::<()>();
    let busy = tree.log.clone();
    tell(&at, move |ctx| {
        busy.note("busy");
        ctx.after("tick", Duration::ZERO, old);
        block_in_place(|| gate.recv().unwrap());
        ctx.after("tick", HOUR, new);
        Ok(())
    });
    until("it lies there", || tree.log.count("busy") == 1 && tree.actor("t/a").mailbox == 1).await;
    open.send(()).unwrap();
    at.send(last);
    until("all is handled", || tree.log.count("last") == 1).await;
    assert_eq!(tree.log.count("old"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_or_says_why_not() {
    let (_tree, at) = one().await;
    let answer = at
        .ask(
            |reply: Reply<u32>| {
                deed(move |_| {
                    reply.send(7);
                    Ok(())
                })
            },
            SOON,
        )
        .await;
    assert_eq!(answer, Ok(7));
    let dropped = at
        .ask(
            |reply: Reply<u32>| {
                deed(move |_| {
                    drop(reply);
                    Ok(())
                })
            },
            SOON,
        )
        .await;
    assert_eq!(dropped, Err(AskError::Dropped));
    let kept = |reply: Reply<u32>| {
        deed(move |ctx| {
            ctx.background(async move {
                let _reply = reply;
                pending().await
            });
            Ok(())
        })
    };
    assert_eq!(at.ask(kept, SOON).await, Err(AskError::Timeout(SOON)));
    assert_eq!(Toys::new().ask(kept, SOON).await, Err(AskError::Nobody));
}
