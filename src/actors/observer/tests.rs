use super::*;
use crate::actors::tests::{Heard, device, pass, probe, reconcilers, run, running, settle, web};
use crate::runtime::fake::{FakeRuntime, Op};
use crate::supervision::worker;

struct Post {
    runtime: FakeRuntime,
    observer: Address<Message>,
    reconciler: Heard<Reconciler>,
    deployments: Heard<Deployments>,
}

async fn post() -> Post {
    let runtime = FakeRuntime::new(device());
    runtime.add_image("demo:1");
    let (directory, deployments) = (Keyed::new(), Address::new());
    let (child, reconciler) = reconcilers(&directory);
    let (other, heard) = probe("deployments", &deployments);
    directory.ensure(web());
    let args = Args {
        runtime: Arc::new(runtime.clone()),
        reconcilers: directory,
        deployments,
        reporter: Address::new(),
        relist_every: Duration::from_secs(30),
        clock: Clock::start(),
    };
    let observer = Address::new();
    run(vec![child, other, worker::<Observer>("observer", "", args, observer.clone())]).await;
    Post { runtime, observer, reconciler, deployments: heard }
}

fn seen(message: Reconciler) -> Option<usize> {
    match message {
        Reconciler::Observed(seen) => Some(seen.containers.len()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_without_containers_is_told_that_there_are_none() {
    let mut post = post().await;
    assert_eq!(post.reconciler.next(seen).await, 0);
}

#[tokio::test(start_paused = true)]
async fn many_hints_are_one_look_and_a_tick_is_one_list() {
    let mut post = post().await;
    settle().await;
    let lists = post.runtime.calls(Op::List);
    for n in 0..20 {
        running(&post.runtime, &format!("fleet-web.a{n}")).await;
    }
    assert_eq!(post.reconciler.next(|m| seen(m).filter(|n| *n > 0)).await, 20);
    assert_eq!(post.runtime.calls(Op::Look), 1);
    pass(300).await;
    assert_eq!(post.runtime.calls(Op::List) - lists, 10);
}

#[tokio::test(start_paused = true)]
async fn a_death_is_looked_at_at_once() {
    let mut post = post().await;
    running(&post.runtime, "fleet-web.a").await;
    pass(31).await;
    post.reconciler.all();
    post.runtime.kill("fleet-web.a");
    let dead = |message| match message {
        Reconciler::Observed(seen) => Some(seen.containers[0].status),
        _ => None,
    };
    let heard = tokio::time::timeout(Duration::from_millis(100), post.reconciler.next(dead)).await;
    assert_eq!(heard, Ok(Status::Ended { code: 137 }), "before its cleanup");
}

/// Its start was hinted at, and is not looked at yet.
#[tokio::test(start_paused = true)]
async fn a_death_right_after_the_start_is_looked_at_at_once() {
    let mut post = post().await;
    settle().await;
    running(&post.runtime, "fleet-web.a").await;
    let process = post.runtime.process("fleet-web.a").unwrap();
    post.observer.send(Message::Runs(web(), process));
    settle().await;
    post.reconciler.all();
    post.runtime.kill("fleet-web.a");
    let heard = tokio::time::timeout(Duration::from_millis(100), post.reconciler.next(seen)).await;
    assert_eq!(heard, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_away_blinds_everybody_and_is_asked_again_with_a_wait() {
    let mut post = post().await;
    settle().await;
    post.runtime.down();
    post.reconciler.next(|message| matches!(message, Reconciler::Blinded(_)).then_some(())).await;
    let news = |message| match message {
        Deployments::Runtime(news) => Some(matches!(news, RuntimeNews::Unreachable(_))),
        _ => None,
    };
    post.deployments.next(|message| news(message).filter(|away| *away)).await;
    let lists = post.runtime.calls(Op::List);
    pass(600).await;
    let tried = post.runtime.calls(Op::List) - lists;
    // One each 7.5 to 15 s, and one with each attempt at the event stream.
    assert!((40..=140).contains(&tried), "{tried} lists in ten minutes");
    post.runtime.up();
    post.reconciler.next(seen).await;
    post.deployments.next(|message| news(message).filter(|away| !*away)).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_images_that_takes_too_long_is_given_up_and_costs_nothing_else() {
    let mut post = post().await;
    settle().await;
    post.runtime.latency(Duration::from_secs(9));
    let names = (0..30).map(|n| format!("web:{n}")).collect();
    let asked = post.observer.ask(|reply| Message::Images(names, reply), Duration::from_secs(600)).await;
    assert_eq!(asked.unwrap().unwrap_err().kind, ErrorKind::Timeout);
    post.runtime.latency(Duration::ZERO);
    post.reconciler.all();
    pass(31).await;
    assert_eq!(post.reconciler.next(seen).await, 0, "it goes on");
}
