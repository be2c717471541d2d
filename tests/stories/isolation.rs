//! One bad deployment disturbs no other.
use crate::documents::demo;
use crate::harness::{Story, TICK, seconds};
use fleet_agent::runtime::fake::{Op, Program, Registry};
use std::time::Duration;

/// Whatever operation of the bad one hangs, the good one is made, updated, repaired and removed.
#[tokio::test(start_paused = true)]
async fn a_deployment_that_hangs_delays_no_other() {
    for op in [Op::EnsureNetwork, Op::Create, Op::Start, Op::Rename, Op::Signal, Op::Remove] {
        let story = Story::begin().await;
        story.apply_and_run("bad", demo("demo:1")).await;
        story.apply_and_run("good", demo("demo:1")).await;
        let calls = story.runtime.calls(op);
        story.runtime.delay_next(op, seconds(3600));
        story.apply("bad", demo("demo:2"));
        story.until("the bad one hangs", |s| s.runtime.calls(op) > calls).await;
        for image in ["demo:2", "demo:3"] {
            let revision = story.apply("good", demo(image));
            story.within(seconds(2), "the good one is updated", |s| s.is_running("good", revision)).await;
        }
        story.pass(seconds(1)).await;
        story.runtime.kill("fleet-good.a");
        story.within(seconds(1), "repaired", |s| s.runtime.pid("fleet-good.a").is_some()).await;
        story.delete("good");
        story.within(seconds(2), "and removed", |s| s.state("good").is_none()).await;
    }
}

/// The slot of one deployment is held up for half an hour; others live and change beside it.
#[tokio::test(start_paused = true)]
async fn a_stop_that_takes_its_time_delays_no_other() {
    let story = Story::begin().await;
    story.runtime.add_image_with("slow:1", Program::deaf());
    let slow = serde_json::json!({"type": "PodmanV0", "data": {
        "services": [{"name": "a", "image": "slow:1"}], "lifecycle": {"grace_period_s": 1800}}});
    for n in 0..12 {
        story.apply_and_run(&format!("slow{n}"), slow.to_string()).await;
    }
    for n in 0..12 {
        story.delete(&format!("slow{n}"));
    }
    let good = story.apply("good", demo("demo:1"));
    story.within(seconds(5), "the good one runs", |s| s.is_running("good", good)).await;
    story.runtime.kill("fleet-good.a");
    story.within(seconds(2), "and is repaired", |s| s.runtime.pid("fleet-good.a").is_some()).await;
    assert_eq!(story.live().len(), 13, "the slow ones have their time");
    story.within(seconds(1900), "they end", |s| s.live() == ["fleet-good.a"]).await;
}

#[tokio::test(start_paused = true)]
async fn pulls_that_stall_delay_no_deployment_whose_image_is_there() {
    let story = Story::begin().await;
    for n in 0..6 {
        story.runtime.registry(&format!("big:{n}"), Registry::stalls_after(1, seconds(1)));
        story.apply(&format!("big{n}"), demo(&format!("big:{n}")));
    }
    story.pass(seconds(5)).await;
    let revision = story.apply("good", demo("demo:1"));
    story.within(seconds(5), "it runs", |s| s.is_running("good", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn crash_loops_leave_the_pids_of_others() {
    let story = Story::begin().await;
    story.apply_and_run("good", demo("demo:1")).await;
    let pid = story.runtime.pid("fleet-good.a");
    for n in 0..5 {
        story.runtime.add_image_with("broken:1", Program::exits(Duration::from_millis(50), 1));
        story.apply(&format!("bad{n}"), demo("broken:1"));
    }
    story.always(20 * TICK, "it is untouched", |s| s.runtime.pid("fleet-good.a") == pid).await;
    assert_eq!(story.restarts(), 0);
}
