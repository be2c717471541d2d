//! Images that nobody needs any more.
use crate::documents::{demo, document, marked};
use crate::harness::{Story, TICK, seconds};
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::{Op, Program, Registry};
use fleet_contracts::state::Phase;
use serde_json::json;

/// A device whose registry has `web:1` to `web:4`.
async fn with_registry() -> Story {
    let story = Story::begin().await;
    for n in 1..=4 {
        story.runtime.registry(&format!("web:{n}"), Registry::has(Program::polite()));
    }
    story
}

/// The versions of `web` that are on the device.
fn versions(story: &Story) -> Vec<u64> {
    (1..=4).filter(|n| story.runtime.has_image(&format!("web:{n}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_former_image_is_kept_for_one_update_also_across_restarts_of_the_agent() {
    let mut story = with_registry().await;
    story.apply_and_run("web", demo("web:1")).await;
    story.pass(2 * TICK).await;
    story.apply_and_run("web", demo("web:2")).await;
    story.pass(2 * TICK).await;
    assert_eq!(versions(&story), [1, 2]);
    story.crash().await;
    story.boot().await;
    story.apply_and_run("web", demo("web:3")).await;
    assert_eq!(versions(&story), [1, 2, 3], "it may still fail");
    story.within(seconds(15), "the one before it is gone", |s| versions(s) == [2, 3]).await;
    // Back to what is still there.
    let pulls = story.runtime.calls(Op::Pull);
    story.apply_and_run("web", demo("web:2")).await;
    story.pass(2 * TICK).await;
    assert_eq!((versions(&story), story.runtime.calls(Op::Pull)), (vec![2, 3], pulls));
}

#[tokio::test(start_paused = true)]
async fn while_an_update_has_not_settled_nothing_goes() {
    let story = with_registry().await;
    for n in 1..=2 {
        story.apply_and_run("web", demo(&format!("web:{n}"))).await;
        story.pass(seconds(15)).await;
    }
    story.runtime.registry("web:3", Registry::has(Program::exits(seconds(1), 1)));
    story.apply("web", demo("web:3"));
    story.until("it fails", |s| s.phase("web") == Some(Phase::Degraded)).await;
    story.always(10 * TICK, "all are there", |s| versions(s) == [1, 2, 3]).await;
    story.apply_and_run("web", demo("web:4")).await;
    story.within(seconds(15), "what never ran well goes first", |s| versions(s) == [2, 4]).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_did_not_bring_what_is_used_and_what_a_document_names_stays() {
    let story = with_registry().await;
    // Theirs, though a document used it.
    story.runtime.add_image("theirs:1");
    story.apply_and_run("web", demo("theirs:1")).await;
    for n in 1..=3 {
        story.apply_and_run("web", demo(&format!("web:{n}"))).await;
        if n == 1 {
            // Another document names it by another name, and somebody gave it one of his own.
            story.runtime.tag_image("web:1", "same:1");
            story.apply_and_run("other", marked("same:1", 1)).await;
        }
        story.pass(seconds(15)).await;
    }
    assert_eq!((versions(&story), story.runtime.has_image("theirs:1")), (vec![1, 2, 3], true));
    story.apply_and_run("web", demo("web:4")).await;
    story.within(seconds(15), "the others go", |s| versions(s) == [1, 3, 4]).await;
    assert!(story.runtime.has_image("same:1"));
}

#[tokio::test(start_paused = true)]
async fn the_images_of_a_removed_deployment_go_with_it_unless_another_one_uses_them() {
    let story = with_registry().await;
    story.apply_and_run("web", demo("web:1")).await;
    story.pass(seconds(15)).await;
    story.apply_and_run("web", demo("web:2")).await;
    story.apply_and_run("other", marked("web:2", 1)).await;
    story.pass(TICK).await;
    assert_eq!(versions(&story), [1, 2]);
    story.delete("web");
    story.within(seconds(30), "its former one goes", |s| versions(s) == [2]).await;
    story.delete("other");
    story.within(seconds(30), "the last one too", |s| versions(s).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_podman_does_not_remove_holds_up_no_other() {
    let story = with_registry().await;
    story.apply_and_run("web", demo("web:1")).await;
    story.pass(seconds(15)).await;
    story.apply_and_run("web", demo("web:2")).await;
    story.pass(seconds(15)).await;
    story.runtime.fail_next(Op::RemoveImage, ErrorKind::Refused, "a layer is damaged");
    story.delete("web");
    story.within(seconds(30), "the other one goes", |s| versions(s).len() == 1).await;
    story.pass(10 * TICK).await;
    assert_eq!(
        (versions(&story).len(), story.runtime.calls(Op::RemoveImage)),
        (1, 2),
        "it is not asked again"
    );
    // Looked at again when something changes.
    story.apply_and_run("web", demo("web:3")).await;
    story.within(seconds(30), "then it goes", |s| versions(s) == [3]).await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_on_leaves_its_former_image_for_one_update_only() {
    let story = with_registry().await;
    let always = |mark: u64| {
        let env = json!({"MARK": mark.to_string()});
        document(json!([{"name": "a", "image": "web:1", "pull": "always", "env": env}]))
    };
    for mark in 1..=4 {
        story.apply_and_run("web", always(mark)).await;
        story.pass(seconds(15)).await;
    }
    assert_eq!((story.runtime.calls(Op::Pull), story.runtime.calls(Op::RemoveImage)), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn nobody_lists_images_while_nothing_is_to_be_removed() {
    let story = with_registry().await;
    story.apply_and_run("web", demo("web:1")).await;
    story.pass(seconds(15)).await;
    let lists = story.runtime.calls(Op::Images);
    story.pass(20 * TICK).await;
    assert_eq!(story.runtime.calls(Op::Images), lists);
}

#[tokio::test(start_paused = true)]
async fn without_its_note_the_agent_removes_nothing() {
    let mut story = with_registry().await;
    story.apply_and_run("web", demo("web:1")).await;
    story.pass(seconds(15)).await;
    story.crash().await;
    story.disk.forget_everything();
    story.boot().await;
    story.apply_and_run("web", demo("web:2")).await;
    story.apply_and_run("web", demo("web:3")).await;
    story.pass(2 * TICK).await;
    assert!(versions(&story).contains(&1), "{:?}", versions(&story));
}

#[tokio::test(start_paused = true)]
async fn while_a_document_cannot_be_read_nothing_is_removed() {
    let story = with_registry().await;
    story.apply_and_run("web", demo("web:1")).await;
    story.apply_and_run("broken", demo("web:4")).await;
    story.apply("broken", "{");
    story.until("it is refused", |s| s.phase("broken") == Some(Phase::Failed)).await;
    for n in 2..=3 {
        story.apply_and_run("web", demo(&format!("web:{n}"))).await;
        story.pass(seconds(15)).await;
    }
    assert_eq!(versions(&story), [1, 2, 3, 4]);
}
