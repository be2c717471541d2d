//! Containers with files: none is ever started without them.
use crate::documents::document;
use crate::harness::{Story, seconds};
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::Op;
use fleet_contracts::state::{Code, Phase};
use serde_json::json;
use std::time::Duration;

fn with_file(content: &str) -> Vec<u8> {
    document(json!([{"name": "a", "image": "demo:1", "files": [{"path": "/etc/a", "content": content}]}]))
}

/// What the containers that are alive have in /etc/a.
fn contents(story: &Story) -> Vec<String> {
    let live = story.live();
    let all = story.runtime.containers().into_iter().filter(|container| live.contains(&container.name));
    all.map(|container| {
        let file = container.files.into_iter().find(|file| file.path == "/etc/a");
        file.map_or("nothing".into(), |file| String::from_utf8(file.content.reveal().to_vec()).unwrap())
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn a_container_gets_its_files_before_it_gets_its_name() {
    let story = Story::begin().await;
    story.apply_and_run("web", with_file("one")).await;
    let journal = story.runtime.journal();
    let steps: Vec<&str> =
        journal.iter().map(String::as_str).filter(|line| !line.contains("network")).collect();
    assert_eq!(
        steps,
        [
            "create fleet-web.a.draft",
            "put files into fleet-web.a.draft",
            "rename fleet-web.a.draft -> fleet-web.a",
            "start fleet-web.a"
        ]
    );
    assert_eq!(contents(&story), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn another_content_is_another_container_whose_files_are_there_before_the_old_one_stops() {
    let story = Story::begin().await;
    story.apply_and_run("web", with_file("one")).await;
    let before = story.pids();
    story.apply_and_run("web", with_file("one")).await;
    assert_eq!(story.pids(), before, "the same content");
    story.runtime.clear_journal();
    story.apply_and_run("web", with_file("two")).await;
    assert_eq!(contents(&story), ["two"]);
    let journal = story.runtime.journal();
    let at = |line: &str| journal.iter().position(|entry| entry.starts_with(line)).unwrap();
    assert!(at("put files") < at("signal fleet-web.a.old"), "{journal:#?}");
    assert_eq!(story.runtime.containers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_anywhere_in_the_making_leaves_no_container_without_files() {
    for op in [Op::Create, Op::PutFiles, Op::Rename, Op::Start] {
        for content in ["first", "second"] {
            let mut story = Story::begin().await;
            if content == "second" {
                story.apply_and_run("web", with_file("first")).await;
            }
            // It happens while nobody hears of it any more.
            story.runtime.delay_next(op, seconds(3));
            let calls = story.runtime.calls(op);
            let revision = story.apply("web", with_file(content));
            story.until("it is at it", |s| s.runtime.calls(op) > calls).await;
            story.crash().await;
            story.pass(seconds(5)).await;
            story.boot().await;
            story.runs("web", revision).await;
            assert_eq!(contents(&story), [content], "{op:?}");
            assert_eq!(story.runtime.containers().len(), 1, "{op:?}: nothing is left over");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_anywhere_in_the_making_is_healed_by_a_look() {
    for op in [Op::Create, Op::PutFiles, Op::Rename] {
        let story = Story::begin().await;
        story.runtime.lose_answer(op, ErrorKind::Timeout);
        story.apply_and_run("web", with_file("one")).await;
        assert_eq!(
            (contents(&story), story.runtime.containers().len()),
            (vec!["one".to_owned()], 1),
            "{op:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_put_are_told_and_tried_again_while_the_old_one_runs_on() {
    let story = Story::begin().await;
    story.apply_and_run("web", with_file("one")).await;
    let before = story.pids();
    for _ in 0..4 {
        story.runtime.fail_next(Op::PutFiles, ErrorKind::Refused, "not a directory");
    }
    let revision = story.apply("web", with_file("two"));
    story.until("it says so", |s| s.code("web") == Some(Code::Start)).await;
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    story.always(Duration::from_millis(500), "the old one runs on", |s| s.pids() == before).await;
    story.runs("web", revision).await;
    assert_eq!((contents(&story), story.runtime.containers().len()), (vec!["two".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_name_of_somebody_elses_is_left_alone_whichever_it_is() {
    for name in ["fleet-web.a", "fleet-web.a.draft"] {
        let story = Story::begin().await;
        story.runtime.foreign_container(name);
        story.apply("web", with_file("one"));
        story.until("it says so", |s| s.code("web") == Some(Code::NameConflict)).await;
        assert_eq!(contents(&story), ["nothing"], "the other one's");
    }
}

#[tokio::test(start_paused = true)]
async fn a_draft_that_only_the_storage_knows_is_freed() {
    let story = Story::begin().await;
    story.runtime.orphan_next_create();
    story.apply_and_run("web", with_file("one")).await;
    assert_eq!(contents(&story), ["one"]);
}
