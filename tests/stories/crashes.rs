//! `kill -9` of the agent after each step of each kind of work.
use crate::documents::marked;
use crate::harness::{Story, seconds};
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
enum Work {
    First,
    Replace,
    Delete,
}

impl Work {
    async fn before(self, story: &Story) {
        match self {
            Work::First => {}
            Work::Replace | Work::Delete => drop(story.apply_and_run("web", marked("demo:1", 1)).await),
        }
    }

    fn begin(self, story: &Story) {
        match self {
            Work::First => drop(story.apply("web", marked("demo:1", 1))),
            Work::Replace => drop(story.apply("web", marked("demo:1", 2))),
            Work::Delete => drop(story.delete("web")),
        }
    }

    fn is_done(self, story: &Story) -> bool {
        let containers = story.runtime.containers();
        let count = containers.iter().filter(|c| c.name.starts_with("fleet-web.")).count();
        match self {
            Work::First | Work::Replace => {
                count == 1 && story.state("web").is_some_and(|s| s.phase.to_string() == "Running")
            }
            Work::Delete => count == 0 && story.state("web").is_none(),
        }
    }
}

/// The fake runtime takes some milliseconds for each step.
const STEP: Duration = Duration::from_millis(3);

/// Whether the work was cut off, and not done before.
async fn crash_after(work: Work, steps: u32) -> bool {
    let mut story = Story::begin().await;
    story.apply_and_run("other", marked("demo:1", 1)).await;
    work.before(&story).await;
    let other = story.pids()["fleet-other.a"];
    work.begin(&story);
    story.pass(steps * STEP).await;
    let is_cut_off = !work.is_done(&story);
    story.crash().await;
    story.boot().await;
    let what = format!("{work:?} is done after a crash at step {steps}");
    story.within(seconds(120), &what, |s| work.is_done(s)).await;
    assert_eq!(story.pids()["fleet-other.a"], other, "{what}");
    is_cut_off
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_step_of_any_work_ends_with_exactly_what_is_wanted() {
    for work in [Work::First, Work::Replace, Work::Delete] {
        let mut cut_off = 0;
        for steps in 0..40 {
            cut_off += u32::from(crash_after(work, steps).await);
        }
        println!("{work:?} was cut off {cut_off} times");
        assert!(cut_off >= 5, "{work:?} was cut off {cut_off} times only");
    }
}
