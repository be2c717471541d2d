//! When a fault is over, everything is as it should be within a minute.
use crate::documents::demo;
use crate::harness::{Story, seconds};
use fleet_agent::runtime::fake::Op;

const MINUTE: u64 = 60;
/// Long enough for every wait to have grown to its cap.
const LASTS: u64 = 3600;

type Act = fn(&Story);

const OUTAGES: [(&str, Act, Act); 5] = [
    ("the runtime is away", |s| s.runtime.down(), |s| s.runtime.up()),
    ("NATS is away", |s| s.bus.disconnect(), |s| s.bus.connect()),
    ("the disk is full", |s| s.disk.is_full(true), |s| s.disk.is_full(false)),
    ("the lock is lost", |s| s.lock.is_ours(false), |s| s.lock.is_ours(true)),
    ("the agent is cut off from everything", cut_off, joined),
];

fn cut_off(story: &Story) {
    story.runtime.down();
    story.bus.disconnect();
    story.disk.is_full(true);
}

fn joined(story: &Story) {
    story.disk.is_full(false);
    story.bus.connect();
    story.runtime.up();
}

const HANGING: [Op; 8] =
    [Op::List, Op::Look, Op::EnsureNetwork, Op::Create, Op::Start, Op::Rename, Op::Signal, Op::Remove];

/// An update, a new deployment and a death fall into the fault.
async fn converges(fault: &str, begin: impl Fn(&Story), end: impl Fn(&Story)) {
    let story = Story::begin().await;
    let kept = story.apply_and_run("kept", demo("demo:1")).await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.pass(seconds(700)).await;
    begin(&story);
    let web = story.apply("web", demo("demo:2"));
    let new = story.apply("new", demo("demo:3"));
    story.runtime.kill("fleet-kept.a");
    story.pass(seconds(LASTS)).await;
    end(&story);
    let all = |s: &Story| {
        s.is_running("kept", kept)
            && s.is_running("web", web)
            && s.is_running("new", new)
            && s.live() == ["fleet-kept.a", "fleet-new.a", "fleet-web.a"]
    };
    story.within(seconds(MINUTE), &format!("all is well after {fault}"), all).await;
}

#[tokio::test(start_paused = true)]
async fn a_minute_after_an_outage_of_an_hour_everything_runs() {
    for (fault, begin, end) in OUTAGES {
        converges(fault, begin, end).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_minute_after_calls_of_the_runtime_stop_hanging_everything_runs() {
    for op in HANGING {
        let (begin, end) = (|s: &Story| s.runtime.hang(op), |s: &Story| s.runtime.release(op));
        converges(&format!("{op:?} hung"), begin, end).await;
    }
}
