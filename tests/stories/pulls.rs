//! Images.
use crate::documents::{demo, document};
use crate::harness::{Story, TICK, seconds};
use fleet_agent::domain::floor::Floor;
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::{Op, Program, Registry};
use fleet_contracts::state::{Code, Phase};
use serde_json::json;

fn pulling(story: &Story) -> Option<(u64, u64)> {
    let pull = story.state("web")?.services.get(&"a".parse().unwrap())?.pull?;
    Some((pull.current, pull.total))
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_a_pull_is_shown() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::has_slowly(Program::polite(), 10, seconds(10)));
    let revision = story.apply("web", demo("big:1"));
    story.until("it pulls", |s| s.phase("web") == Some(Phase::Pulling)).await;
    story.until("a part is there", |s| pulling(s) == Some((3_000_000, 10_000_000))).await;
    story.until("more is there", |s| pulling(s) == Some((7_000_000, 10_000_000))).await;
    story.runs("web", revision).await;
    assert_eq!(pulling(&story), None);
}

#[tokio::test(start_paused = true)]
async fn a_pull_without_progress_for_a_minute_is_ended_and_tried_again() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::stalls_after(3, seconds(50)));
    story.apply("web", demo("big:1"));
    // Slow is not stalled.
    story.always(seconds(200), "it pulls", |s| s.runtime.calls(Op::Pull) <= 1).await;
    story.runtime.registry("big:1", Registry::has(Program::polite()));
    story.within(seconds(20), "it is ended and tried again", |s| s.runtime.calls(Op::Pull) == 2).await;
    story.until("it runs", |s| s.phase("web") == Some(Phase::Running)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_always_stalls_is_degraded_with_a_growing_wait() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::stalls_after(0, seconds(1)));
    story.apply("web", demo("big:1"));
    story.until("it says so", |s| s.code("web") == Some(Code::ImagePull)).await;
    story.pass(seconds(3600)).await;
    // 60 s each, with 0, 1, 2 … 256, 300, 300 … s ± 20 % between them; 60 without a wait.
    assert!((14..=20).contains(&story.runtime.calls(Op::Pull)), "{}", story.runtime.calls(Op::Pull));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_there_is_not_pulled_unless_it_should_always_be() {
    let story = Story::begin().await;
    story.runtime.registry("demo:1", Registry::has(Program::polite()));
    story.apply_and_run("web", demo("demo:1")).await;
    assert_eq!(story.runtime.calls(Op::Pull), 0);
    story.apply_and_run("fresh", document(json!([{"name": "a", "image": "demo:1", "pull": "always"}]))).await;
    assert_eq!(story.runtime.calls(Op::Pull), 1);
    story.pass(10 * TICK).await;
    assert_eq!(story.runtime.calls(Op::Pull), 1, "once per document");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_must_not_be_pulled_is_waited_for() {
    let story = Story::begin().await;
    story.runtime.registry("local:1", Registry::has(Program::polite()));
    let revision = story.apply("web", document(json!([{"name": "a", "image": "local:1", "pull": "never"}])));
    story.until("it says so", |s| s.code("web") == Some(Code::ImageMissing)).await;
    story.pass(10 * TICK).await;
    assert_eq!(story.runtime.calls(Op::Pull), 0);
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    story.runtime.add_image("local:1");
    story.within(seconds(400), "it runs", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_registry_is_told_as_such() {
    let story = Story::begin().await;
    story.runtime.registry("secret:1", Registry::fails(ErrorKind::RegistryAuth, "unauthorized"));
    story.apply("web", demo("secret:1"));
    story.until("it says so", |s| s.code("web") == Some(Code::RegistryAuth)).await;
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
}

#[tokio::test(start_paused = true)]
async fn a_slow_pull_ends_when_a_new_document_wants_another_image() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::has_slowly(Program::polite(), 1000, seconds(30)));
    story.apply("web", demo("big:1"));
    story.until("it pulls", |s| s.phase("web") == Some(Phase::Pulling)).await;
    let revision = story.apply("web", demo("demo:1"));
    story.within(seconds(5), "it runs", |s| s.is_running("web", revision)).await;
    let lanes = || story.actor("effects").unwrap().doing;
    story.until("nothing is pulled any more", |_| lanes().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_removed_behind_our_back_is_pulled_again_when_it_is_needed() {
    let story = Story::begin().await;
    story.runtime.registry("demo:1", Registry::has(Program::polite()));
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.remove_image("demo:1");
    story.runtime.user_removes("fleet-web.a");
    story.until("it runs again", |s| s.live() == ["fleet-web.a"]).await;
    assert_eq!(story.runtime.calls(Op::Pull), 1);
}

const MIB: u64 = 1024 * 1024;

fn message(story: &Story, name: &str) -> String {
    story.state(name).and_then(|state| state.last_error).map(|error| error.message).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn below_the_floor_of_free_space_no_pull_begins_and_all_goes_on_by_itself_when_there_is_room() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let before = story.pids();
    story.runtime.set_free(Some(40 * MIB));
    for image in ["new:1", "oci-archive:/srv/new.tar"] {
        story.runtime.registry(image, Registry::has(Program::polite()));
    }
    let web = story.apply("web", demo("new:1"));
    let archive = story.apply("archive", demo("oci-archive:/srv/new.tar"));
    for name in ["web", "archive"] {
        story.until("it says so", |s| s.code(name) == Some(Code::DiskFull)).await;
        let said = message(&story, name);
        assert!(said.contains("40 MiB are free in /fake/storage") && said.contains("64 MiB"), "{said}");
        assert_eq!(story.phase(name), Some(Phase::Degraded));
    }
    let puts = story.puts("device-state/state.d1.web");
    story.pass(10 * TICK).await;
    assert_eq!((story.runtime.calls(Op::Pull), story.pids()), (0, before));
    assert_eq!(story.puts("device-state/state.d1.web"), puts, "told once");
    // What needs no new image goes on.
    story.apply_and_run("other", demo("demo:2")).await;
    story.runtime.set_free(Some(64 * MIB));
    story.within(TICK + seconds(5), "it goes on", |s| s.is_running("web", web)).await;
    story.runs("archive", archive).await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_somebody_brings_by_hand_needs_no_room() {
    let story = Story::begin().await;
    story.runtime.set_free(Some(0));
    let revision = story.apply("web", demo("new:1"));
    story.until("it says so", |s| s.code("web") == Some(Code::DiskFull)).await;
    story.runtime.add_image("new:1");
    story.within(TICK + seconds(5), "it runs", |s| s.is_running("web", revision)).await;
    assert_eq!(story.runtime.calls(Op::Pull), 0);
}

#[tokio::test(start_paused = true)]
async fn when_nobody_can_say_how_much_is_free_it_is_pulled() {
    let story = Story::begin().await;
    story.runtime.set_free(None);
    story.runtime.registry("new:1", Registry::has(Program::polite()));
    story.apply_and_run("web", demo("new:1")).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_floor_nobody_asks_how_much_is_free() {
    let mut story = Story::new().with(|parts| parts.floor = Floor(0));
    story.bus.connect();
    story.boot().await;
    story.runtime.set_free(Some(0));
    story.runtime.registry("new:1", Registry::has(Program::polite()));
    story.apply_and_run("web", demo("new:1")).await;
    assert_eq!(story.runtime.calls(Op::Storage), 0);
}

#[tokio::test(start_paused = true)]
async fn whatever_way_a_pull_fails_the_old_version_keeps_running_and_the_new_one_is_never_started() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let before = story.pids();
    story.runtime.clear_journal();
    let ways = [
        (Registry::fails(ErrorKind::Pull, "manifest unknown"), Code::ImagePull),
        (Registry::fails(ErrorKind::Pull, "unexpected digest of a blob"), Code::ImagePull),
        (Registry::fails(ErrorKind::RegistryAuth, "unauthorized"), Code::RegistryAuth),
        (Registry::fails(ErrorKind::DiskFull, "no space left on device"), Code::DiskFull),
        (Registry::stalls_after(2, seconds(1)), Code::ImagePull),
    ];
    for (n, (registry, code)) in ways.into_iter().enumerate() {
        let image = format!("new:{n}");
        story.runtime.registry(&image, registry);
        story.apply("web", demo(&image));
        story.until("it says so", |s| s.code("web") == Some(code)).await;
        assert_eq!(story.phase("web"), Some(Phase::Degraded));
        story.pass(10 * TICK).await;
        assert_eq!((story.code("web"), story.pids()), (Some(code), before.clone()));
        if code == Code::DiskFull {
            let said = message(&story, "web");
            assert!(said.contains("no space left") && said.contains("MiB are free in"), "{said}");
        }
    }
    let effects = story.runtime.journal();
    assert!(effects.iter().all(|effect| effect.starts_with("pull ")), "{effects:?}");
    story.runtime.registry("new:9", Registry::has(Program::polite()));
    story.apply_and_run("web", demo("new:9")).await;
}
