//! `kill -9` of the agent after each step of each kind of work.
use crate::documents::marked;
use crate::harness::{Story, seconds};
use fleet_contracts::names::label;
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

    /// The revision that must run in the end.
    fn begin(self, story: &Story) -> Option<u64> {
        match self {
            Work::First => Some(story.apply("web", marked("demo:1", 1))),
            Work::Replace => Some(story.apply("web", marked("demo:1", 2))),
            Work::Delete => {
                story.delete("web");
                None
            }
        }
    }

    /// What an agent that nobody disturbs makes of it.
    async fn undisturbed(self) -> Made {
        let story = Story::begin().await;
        self.before(&story).await;
        match self.begin(&story) {
            Some(revision) => story.runs("web", revision).await,
            None => story.until("it is gone", |s| s.state("web").is_none()).await,
        }
        let is_left = |made: &Made| made.iter().all(|(name, _)| name == "fleet-web.a");
        story.until("nothing is left over", |s| is_left(&made(s))).await;
        made(&story)
    }
}

/// Names and digests of the containers of `web`.
type Made = Vec<(String, Option<String>)>;

fn made(story: &Story) -> Made {
    let all = story.runtime.containers().into_iter();
    all.filter(|c| c.name.starts_with("fleet-web."))
        .map(|c| (c.name, c.labels.get(label::SPEC_DIGEST).cloned()))
        .collect()
}

/// The containers are those, and that revision is said to run: what ran before is not taken for it.
fn is_done(story: &Story, wanted: &Made, revision: Option<u64>) -> bool {
    let is_told = match revision {
        Some(revision) => story.is_running("web", revision),
        None => story.state("web").is_none(),
    };
    is_told && made(story) == *wanted
}

/// The fake runtime takes some milliseconds for each step.
const STEP: Duration = Duration::from_millis(3);

/// Whether the work was cut off, and not done before.
async fn crash_after(work: Work, steps: u32, wanted: &Made) -> bool {
    let mut story = Story::begin().await;
    story.apply_and_run("other", marked("demo:1", 1)).await;
    work.before(&story).await;
    let other = story.pids()["fleet-other.a"];
    let revision = work.begin(&story);
    story.pass(steps * STEP).await;
    let is_cut_off = !is_done(&story, wanted, revision);
    story.crash().await;
    story.boot().await;
    let what = format!("{work:?} is done after a crash at step {steps}");
    story.within(seconds(120), &what, |s| is_done(s, wanted, revision)).await;
    assert_eq!(story.pids()["fleet-other.a"], other, "{what}");
    is_cut_off
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_step_of_any_work_ends_with_exactly_what_is_wanted() {
    for work in [Work::First, Work::Replace, Work::Delete] {
        let wanted = work.undisturbed().await;
        assert_eq!(wanted.len(), usize::from(!matches!(work, Work::Delete)), "{work:?}");
        let mut cut_off = 0;
        for steps in 0..40 {
            cut_off += u32::from(crash_after(work, steps, &wanted).await);
        }
        println!("{work:?} was cut off {cut_off} times");
        assert!(cut_off >= 5, "{work:?} was cut off {cut_off} times only");
    }
}

/// Podman's last changes are lost with the power, or not; the network is away for a while, or not.
async fn power_cut_after(steps: u32, lost: usize, is_offline: bool, wanted: &Made) {
    let mut story = Story::begin().await;
    story.apply_and_run("other", marked("demo:1", 1)).await;
    Work::Replace.before(&story).await;
    let old = made(&story);
    let revision = Work::Replace.begin(&story);
    story.pass(steps * STEP).await;
    story.crash().await;
    story.runtime.power_cut(lost);
    if is_offline {
        story.bus.disconnect();
    }
    story.boot().await;
    let what = format!("a power cut at step {steps} with {lost} changes lost, offline: {is_offline}");
    if is_offline {
        // By what was durable of the document.
        let is_one = |s: &Story| made(s) == *wanted || made(s) == old;
        let both_live = |s: &Story| s.live() == ["fleet-other.a", "fleet-web.a"];
        story.until(&format!("old or new after {what}"), |s| is_one(s) && both_live(s)).await;
        story.bus.connect();
    }
    story.until(&what, |s| is_done(s, wanted, revision)).await;
    assert_eq!(story.live(), ["fleet-other.a", "fleet-web.a"], "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_power_cut_in_the_middle_of_a_replace_leaves_the_old_or_the_new_and_one_live() {
    let wanted = Work::Replace.undisturbed().await;
    for (lost, steps) in [0, 1, 2].into_iter().cycle().zip((0..40).step_by(5)) {
        power_cut_after(steps, lost, false, &wanted).await;
        power_cut_after(steps, lost, true, &wanted).await;
    }
}

mod long {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_power_cut_at_any_step_of_a_replace_leaves_the_old_or_the_new_and_one_live() {
        let wanted = Work::Replace.undisturbed().await;
        for steps in 0..40 {
            for lost in 0..3 {
                power_cut_after(steps, lost, false, &wanted).await;
                power_cut_after(steps, lost, true, &wanted).await;
            }
        }
    }
}
