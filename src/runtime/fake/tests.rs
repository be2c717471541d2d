use super::*;
use crate::domain::spec::CreateSpec;
use crate::runtime::{ContainerRuntime, NameHolder};
use fleet_contracts::names::label;

fn runtime() -> FakeRuntime {
    let fake = FakeRuntime::new("d1".parse().expect("valid"));
    fake.add_image("demo:1");
    fake
}

fn spec() -> CreateSpec {
    let labels = [(label::DEVICE, "d1"), (label::DEPLOYMENT, "web"), (label::SERVICE, "a")];
    CreateSpec {
        image: "demo:1".into(),
        command: None,
        entrypoint: None,
        working_dir: None,
        user: None,
        env: BTreeMap::new(),
        hidden_env: BTreeMap::new(),
        ports: vec![],
        mounts: vec![],
        devices: vec![],
        resources: Default::default(),
        log_max_size_mb: None,
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        network: "host".into(),
        aliases: vec![],
        stop_signal: "SIGTERM".into(),
        stop_timeout_s: 30,
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_may_happen_after_the_caller_gave_up() {
    let fake = runtime();
    fake.delay_next(Op::Create, Duration::from_secs(90));
    let error = fake.create("fleet-web.a", &spec()).await.expect_err("too late");
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert_eq!(fake.holder("fleet-web.a").await, Ok(NameHolder::Nobody));
    fake.until(|fake| fake.container("fleet-web.a").is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn an_orphan_takes_a_name_that_nobody_is_listed_under() {
    let fake = runtime();
    fake.orphan_next_create();
    assert!(fake.create("fleet-web.a", &spec()).await.is_err());
    assert_eq!(fake.create("fleet-web.a", &spec()).await.expect_err("taken").kind, ErrorKind::NameInUse);
    assert_eq!(fake.holder("fleet-web.a").await, Ok(NameHolder::Nobody));
    fake.remove_orphan("fleet-web.a").await.expect("gone");
    fake.create("fleet-web.a", &spec()).await.expect("free again");
}

#[tokio::test(start_paused = true)]
async fn a_lying_container_is_started_with_success_and_without_effect() {
    let fake = runtime();
    let id = fake.create("fleet-web.a", &spec()).await.expect("new");
    fake.start(&id).await.expect("starts");
    fake.kill_with_conmon("fleet-web.a");
    fake.start(&id).await.expect("says so");
    assert_eq!(fake.pid("fleet-web.a"), None);
    fake.remove(&id).await.expect("by force");
}

#[tokio::test(start_paused = true)]
async fn a_second_live_container_in_a_slot_is_noted() {
    let fake = runtime();
    for name in ["fleet-web.a", "fleet-web.a.next"] {
        let id = fake.create(name, &spec()).await.expect("new");
        fake.start(&id).await.expect("starts");
    }
    assert_eq!(fake.violations(), ["fleet-web.a.next was started while fleet-web.a was alive"]);
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_is_started_before_the_cleanup_is_noted() {
    let fake = runtime();
    let old = fake.create("fleet-web.a", &spec()).await.expect("new");
    fake.start(&old).await.expect("starts");
    let next = fake.create("fleet-web.a.next", &spec()).await.expect("new");
    fake.kill("fleet-web.a");
    fake.start(&next).await.expect("starts");
    assert_eq!(fake.violations(), ["fleet-web.a.next was started before fleet-web.a was cleaned up"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_everything_is_created_and_nothing_runs() {
    let fake = runtime();
    let id = fake.create("fleet-web.a", &spec()).await.expect("new");
    fake.start(&id).await.expect("starts");
    let process = fake.process("fleet-web.a").expect("runs");
    fake.reboot();
    fake.death(process).await;
    assert_eq!(fake.container("fleet-web.a").expect("kept").status, Status::Created);
}

#[tokio::test(start_paused = true)]
async fn a_hung_call_ends_at_its_deadline_or_when_released() {
    let fake = runtime();
    fake.hang(Op::List);
    assert_eq!(fake.list().await.expect_err("hangs").kind, ErrorKind::Timeout);
    let listing = tokio::spawn({
        let fake = fake.clone();
        async move { fake.list().await }
    });
    fake.until(|fake| fake.calls(Op::List) == 2).await;
    fake.release(Op::List);
    listing.await.expect("no panic").expect("answered");
}

#[tokio::test(start_paused = true)]
async fn while_down_every_call_is_unreachable_and_streams_end() {
    use futures_util::StreamExt;
    let fake = runtime();
    let mut hints = fake.hints().await.expect("up");
    fake.down();
    assert!(hints.next().await.is_none());
    assert_eq!(fake.list().await.expect_err("down").kind, ErrorKind::Unreachable);
    fake.up();
    fake.list().await.expect("up again");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_pull_never_ends_by_itself() {
    use futures_util::StreamExt;
    let fake = runtime();
    fake.registry("demo:2", Registry::stalls_after(2, Duration::from_secs(1)));
    let mut pull = fake.pull("demo:2", None).await.expect("begins");
    assert!(pull.next().await.is_some() && pull.next().await.is_some());
    assert!(tokio::time::timeout(Duration::from_secs(3600), pull.next()).await.is_err());
}
