//! The promises, each a function over any world.
use crate::private_registry;
use crate::worlds::{
    ABSENT_IMAGE, DEAD_REGISTRY_IMAGE, DEVICE, Demo, FoundFile, USER, World, device, port, spec,
};
use fleet_agent::domain::container::{Container, ContainerId, Process, Status};
use fleet_agent::domain::hidden::{Hidden, RegistryCredential};
use fleet_agent::domain::spec::{CreateSpec, FileOwner, Mount, PlacedFile};
use fleet_agent::runtime::{ContainerRuntime, ErrorKind, Hint, NameHolder, Result, Run};
use fleet_contracts::names::label;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;
use std::time::Duration;

/// For what happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?}: {what}"))
}

async fn created<W: World>(world: &W, name: &str, spec: &CreateSpec) -> ContainerId {
    world.runtime().create(name, spec).await.expect("created")
}

async fn started<W: World>(world: &W, name: &str, demo: Demo) -> (ContainerId, Process) {
    let id = created(world, name, &spec(world, demo, "web", "a")).await;
    world.runtime().start(&id).await.expect("started");
    (id.clone(), process(&seen(world, &id).await))
}

async fn seen<W: World>(world: &W, id: &ContainerId) -> Container {
    let list = world.runtime().list().await.expect("listed");
    list.into_iter().find(|container| container.id == *id).expect("in the list")
}

fn process(container: &Container) -> Process {
    match container.status {
        Status::Running(process) => process,
        other => panic!("{} should run and is {other:?}", container.name),
    }
}

/// Sends it again and again: a program needs a moment to set its handler up.
async fn signalled_to_death<W: World>(world: &W, id: &ContainerId, signal: &str, process: Process) {
    let death = world.runtime().death(process);
    tokio::pin!(death);
    let dies = async {
        loop {
            world.runtime().signal(id, signal).await.expect("sent");
            if tokio::time::timeout(Duration::from_millis(100), &mut death).await.is_ok() {
                return;
            }
        }
    };
    soon("death by signal", dies).await;
}

async fn ended<W: World>(world: &W, id: &ContainerId) -> i64 {
    let ends = async {
        loop {
            match seen(world, id).await.status {
                Status::Exited { code } => return code,
                // Time passes in the fake only while something waits for it.
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    soon("exit", ends).await
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(label::DEVICE.into(), DEVICE.into())])
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("must fail").kind
}

pub async fn a_created_container_is_listed_and_does_not_run<W: World>(world: W) {
    let mut spec = spec(&world, Demo::Obeys, "web", "a");
    spec.labels.insert(label::SPEC_DIGEST.into(), "abc123".into());
    let id = created(&world, "fleet-web.a", &spec).await;
    let container = seen(&world, &id).await;
    assert_eq!(container.name, "fleet-web.a");
    assert_eq!((container.deployment.as_str(), container.service.as_str()), ("web", "a"));
    assert_eq!(container.digest.as_ref().map(|digest| digest.as_str()), Some("abc123"));
    assert_eq!((container.status, container.started_at), (Status::Created, None));
    assert_eq!(container.image_id, world.runtime().image(&spec.image).await.expect("asked"));
    assert!(container.image_id.is_some());
}

pub async fn a_started_container_has_a_live_process_and_starting_it_again_changes_nothing<W: World>(
    world: W,
) {
    let (id, process_before) = started(&world, "fleet-web.a", Demo::Obeys).await;
    let before = seen(&world, &id).await;
    assert!(before.started_at.is_some());
    world.runtime().start(&id).await.expect("a success");
    assert_eq!(process(&before), process_before);
    assert_eq!(seen(&world, &id).await, before);
    let death = tokio::time::timeout(Duration::from_millis(200), world.runtime().death(process_before));
    assert!(death.await.is_err(), "it lives");
}

pub async fn a_look_shows_one_deployment_only<W: World>(world: W) {
    let (id, _) = started(&world, "fleet-web.a", Demo::Obeys).await;
    created(&world, "fleet-db.a", &spec(&world, Demo::Obeys, "db", "a")).await;
    let look = world.runtime().look(&"web".parse().expect("valid")).await.expect("looked");
    assert_eq!(look, vec![seen(&world, &id).await]);
    assert_eq!(world.runtime().list().await.expect("listed").len(), 2);
}

pub async fn a_stop_signal_reaches_the_programs_own_handler<W: World>(world: W) {
    let (id, process) = started(&world, "fleet-web.a", Demo::Obeys).await;
    signalled_to_death(&world, &id, "SIGUSR1", process).await;
    assert_eq!(ended(&world, &id).await, 6);
}

pub async fn a_deaf_program_needs_sigkill<W: World>(world: W) {
    let (id, process) = started(&world, "fleet-web.a", Demo::Deaf).await;
    world.runtime().signal(&id, "SIGTERM").await.expect("sent");
    let death = tokio::time::timeout(Duration::from_millis(500), world.runtime().death(process));
    assert!(death.await.is_err(), "SIGTERM is ignored");
    signalled_to_death(&world, &id, "SIGKILL", process).await;
    assert_eq!(ended(&world, &id).await, 137);
}

pub async fn sigkill_ends_even_a_paused_container<W: World>(world: W) {
    let (id, process) = started(&world, "fleet-web.a", Demo::Obeys).await;
    world.pause("fleet-web.a");
    assert_eq!(seen(&world, &id).await.status, Status::Paused);
    world.runtime().signal(&id, "SIGKILL").await.expect("sent");
    soon("death", world.runtime().death(process)).await;
    assert_eq!(ended(&world, &id).await, 137);
}

pub async fn a_command_in_a_container_tells_its_exit_code_and_its_last_words<W: World>(world: W) {
    let (id, process) = started(&world, "fleet-web.a", Demo::Obeys).await;
    let limit = Duration::from_secs(20);
    let run = async |script: &str| {
        let argv = ["sh", "-c", script].map(String::from);
        world.runtime().run_in(&id, &argv, limit).await.expect("run")
    };
    let ended = |code, said: &str| Run::Ended { code, said: said.into() };
    world.next_run("fleet-web.a", ended(0, ""));
    assert_eq!(run("true").await, ended(0, ""));
    world.next_run("fleet-web.a", ended(3, "no such table: users"));
    assert_eq!(run("echo no such table:; echo users >&2; exit 3").await, ended(3, "no such table: users"));
    world.next_run("fleet-web.a", ended(127, "no such file"));
    match world.runtime().run_in(&id, &["/no/such/program".into()], limit).await.expect("run") {
        Run::Ended { code: 126 | 127, .. } => {}
        other => panic!("a program that is not there: {other:?}"),
    }
    assert_eq!(self::process(&seen(&world, &id).await), process, "the container is left alone");
}

pub async fn a_command_that_takes_too_long_is_ended<W: World>(world: W) {
    let (id, _) = started(&world, "fleet-web.a", Demo::Obeys).await;
    world.next_run("fleet-web.a", Run::TooLong);
    // No other test has a command of this number.
    let seconds = (100_000 + std::process::id()).to_string();
    let argv = ["sleep", &seconds].map(String::from);
    let run = world.runtime().run_in(&id, &argv, Duration::from_secs(1)).await.expect("run");
    assert_eq!(run, Run::TooLong);
    let gone = async {
        while world.runs_command(&seconds) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the command is gone", gone).await;
}

pub async fn no_command_is_run_in_a_container_that_does_not_run<W: World>(world: W) {
    let id = created(&world, "fleet-web.a", &spec(&world, Demo::Obeys, "web", "a")).await;
    world.runtime().run_in(&id, &["true".into()], Duration::from_secs(1)).await.expect_err("must fail");
}

pub async fn the_last_words_of_a_container_are_what_it_said_on_both_streams<W: World>(world: W) {
    let id = created(&world, "fleet-web.a", &spec(&world, Demo::Ends, "web", "a")).await;
    assert_eq!(world.runtime().last_words(&id).await.expect("asked"), "", "it has said nothing yet");
    world.says("fleet-web.a", "one two");
    world.runtime().start(&id).await.expect("started");
    ended(&world, &id).await;
    assert_eq!(world.runtime().last_words(&id).await.expect("asked"), "one two");
}

pub async fn the_exit_code_of_a_program_that_ended_by_itself_is_seen_in_every_list<W: World>(world: W) {
    let id = created(&world, "fleet-web.a", &spec(&world, Demo::Ends, "web", "a")).await;
    world.runtime().start(&id).await.expect("started");
    assert_eq!(ended(&world, &id).await, 4);
    let container = seen(&world, &id).await;
    assert_eq!(container.status, Status::Exited { code: 4 });
    assert!(container.started_at.is_some());
    let look = world.runtime().look(&container.deployment).await.expect("looked");
    assert_eq!(look, vec![container]);
}

pub async fn a_second_run_is_a_new_process<W: World>(world: W) {
    let (id, first) = started(&world, "fleet-web.a", Demo::Obeys).await;
    signalled_to_death(&world, &id, "SIGTERM", first).await;
    assert_eq!(ended(&world, &id).await, 5);
    world.runtime().start(&id).await.expect("started again");
    assert_ne!(process(&seen(&world, &id).await), first);
    soon("the first one's death is known", world.runtime().death(first)).await;
}

/// As often as it may take to see that moment at least once.
pub async fn what_has_just_ended_is_started_again_before_its_cleanup<W: World>(world: W) {
    world.runtime().ensure_network("fleet-web", &labels()).await.expect("there");
    let (ports, network) = (vec![port()], "fleet-web".to_owned());
    let spec = CreateSpec { ports, network, ..spec(&world, Demo::Obeys, "web", "a") };
    let id = created(&world, "fleet-web.a", &spec).await;
    world.runtime().start(&id).await.expect("started");
    let mut seen_ended = 0;
    for _ in 0..5 {
        let before = process(&seen(&world, &id).await);
        world.kill("fleet-web.a", before);
        soon("death", world.runtime().death(before)).await;
        let look = world.runtime().look(&"web".parse().expect("valid")).await.expect("looked");
        assert_eq!(look[0].status.exit_code(), Some(137));
        seen_ended += usize::from(look[0].status == Status::Ended { code: 137 });
        world.runtime().start(&id).await.expect("its port is its own");
        let again = process(&seen(&world, &id).await);
        assert_ne!(again, before);
        let death = tokio::time::timeout(Duration::from_secs(1), world.runtime().death(again));
        assert!(death.await.is_err(), "the cleanup after the one before leaves it alone");
    }
    assert!(seen_ended > 0, "the cleanup was always faster");
    // What others would find in the way, they see gone.
    let last = process(&seen(&world, &id).await);
    world.kill("fleet-web.a", last);
    soon("death", world.runtime().death(last)).await;
    assert_eq!(seen(&world, &id).await.status, Status::Exited { code: 137 });
}

pub async fn a_rename_leaves_the_process_alone<W: World>(world: W) {
    let (id, before) = started(&world, "fleet-web.a", Demo::Obeys).await;
    world.runtime().rename(&id, "fleet-web.a.old").await.expect("renamed");
    let container = seen(&world, &id).await;
    assert_eq!((container.name.as_str(), process(&container)), ("fleet-web.a.old", before));
    created(&world, "fleet-web.a", &spec(&world, Demo::Obeys, "web", "a")).await;
    assert_eq!(kind(world.runtime().rename(&id, "fleet-web.a").await), ErrorKind::NameInUse);
}

pub async fn a_name_is_given_once<W: World>(world: W) {
    let spec = spec(&world, Demo::Obeys, "web", "a");
    created(&world, "fleet-web.a", &spec).await;
    assert_eq!(kind(world.runtime().create("fleet-web.a", &spec).await), ErrorKind::NameInUse);
    assert_eq!(kind(world.runtime().remove_orphan("fleet-web.a").await), ErrorKind::Refused);
    assert_eq!(world.runtime().list().await.expect("listed").len(), 1);
}

pub async fn the_holder_of_a_name_is_nobody_ours_or_foreign<W: World>(world: W) {
    let holder = |name: &'static str| world.runtime().holder(name);
    assert_eq!(holder("fleet-web.a").await, Ok(NameHolder::Nobody));
    let (id, _) = started(&world, "fleet-web.a", Demo::Obeys).await;
    let ours = NameHolder::Ours(Box::new(seen(&world, &id).await));
    assert_eq!(holder("fleet-web.a").await, Ok(ours));
    world.add_foreign("fleet-web.b");
    assert!(matches!(holder("fleet-web.b").await, Ok(NameHolder::Foreign(_))));
    let taken = world.runtime().create("fleet-web.b", &spec(&world, Demo::Obeys, "web", "b")).await;
    assert_eq!(kind(taken), ErrorKind::NameInUse);
    assert_eq!(kind(world.runtime().remove_orphan("fleet-web.b").await), ErrorKind::Refused);
    assert!(world.foreign_runs("fleet-web.b"));
}

pub async fn a_live_container_is_never_removed<W: World>(world: W) {
    let (id, process_before) = started(&world, "fleet-web.a", Demo::Obeys).await;
    assert_eq!(kind(world.runtime().remove(&id).await), ErrorKind::Refused);
    assert_eq!(process(&seen(&world, &id).await), process_before);
    signalled_to_death(&world, &id, "SIGKILL", process_before).await;
    assert_eq!(ended(&world, &id).await, 137);
    world.runtime().remove(&id).await.expect("removed");
    assert_eq!(world.runtime().list().await, Ok(vec![]));
}

pub async fn what_is_not_there_counts_as_stopped_and_removed<W: World>(world: W) {
    let id = created(&world, "fleet-web.a", &spec(&world, Demo::Obeys, "web", "a")).await;
    world.runtime().signal(&id, "SIGTERM").await.expect("does not run");
    world.runtime().remove(&id).await.expect("removed");
    world.runtime().remove(&id).await.expect("is not there");
    world.runtime().signal(&id, "SIGTERM").await.expect("is not there");
    world.runtime().remove_orphan("fleet-web.a").await.expect("is not there");
    assert_eq!(kind(world.runtime().start(&id).await), ErrorKind::NotFound);
    assert_eq!(kind(world.runtime().rename(&id, "fleet-web.b").await), ErrorKind::NotFound);
}

pub async fn a_missing_image_is_told_from_a_missing_network<W: World>(world: W) {
    let mut spec = spec(&world, Demo::Obeys, "web", "a");
    spec.network = "fleet-absent".into();
    assert_eq!(kind(world.runtime().create("fleet-web.a", &spec).await), ErrorKind::NotFound);
    spec.image = ABSENT_IMAGE.into();
    spec.network = "host".into();
    assert_eq!(kind(world.runtime().create("fleet-web.a", &spec).await), ErrorKind::ImageMissing);
    assert_eq!(world.runtime().image(ABSENT_IMAGE).await, Ok(None));
    assert_eq!(world.runtime().list().await, Ok(vec![]));
}

fn file(path: &str, mode: u16, owner: FileOwner, content: &[u8]) -> PlacedFile {
    PlacedFile { path: path.into(), mode, owner, content: Hidden::new(content) }
}

pub async fn files_are_in_a_container_before_it_starts_with_their_mode_and_owner<W: World>(world: W) {
    let spec = CreateSpec { user: Some(USER.to_string()), ..spec(&world, Demo::Obeys, "web", "a") };
    let id = created(&world, "fleet-web.a", &spec).await;
    let long = format!("/etc/{}/deep", "x".repeat(150));
    let binary: Vec<u8> = (0..=255).collect();
    let files = [
        file("/etc/new/app.toml", 0o640, FileOwner::Root, b"old"),
        file(&long, 0o4755, FileOwner::Root, b""),
        file("/etc/key", 0o400, FileOwner::User, &binary),
    ];
    world.runtime().put_files(&id, &files).await.expect("put");
    // Again, as after an answer that was lost: the last one counts.
    let changed = file("/etc/new/app.toml", 0o600, FileOwner::Root, b"new");
    world.runtime().put_files(&id, &[changed]).await.expect("put");
    assert_eq!(seen(&world, &id).await.status, Status::Created);
    let found = |mode, uid, content: &[u8]| Some(FoundFile { mode, uid, content: content.to_vec() });
    assert_eq!(world.file("fleet-web.a", "/etc/new/app.toml"), found(0o600, 0, b"new"));
    assert_eq!(world.file("fleet-web.a", &long), found(0o4755, 0, b""));
    assert_eq!(world.file("fleet-web.a", "/etc/key"), found(0o400, USER, &binary));
    assert_eq!(world.file("fleet-web.a", "/etc/other"), None);
    world.runtime().start(&id).await.expect("started");
    assert_eq!(world.file("fleet-web.a", "/etc/key"), found(0o400, USER, &binary));

    let below_a_file = file("/etc/key/below", 0o600, FileOwner::Root, b"");
    assert_eq!(kind(world.runtime().put_files(&id, &[below_a_file]).await), ErrorKind::Refused);
    let nobody = ContainerId::new(&"0".repeat(64));
    let any = file("/etc/any", 0o600, FileOwner::Root, b"");
    assert_eq!(kind(world.runtime().put_files(&nobody, &[any]).await), ErrorKind::NotFound);
}

pub async fn a_hidden_variable_is_in_the_programs_environment<W: World>(world: W) {
    let value = "two words, \"quoted\" = and\na line";
    let hidden_env = BTreeMap::from([("PASSWORD".into(), Hidden::new(value.as_bytes()))]);
    let spec = CreateSpec { hidden_env, ..spec(&world, Demo::Obeys, "web", "a") };
    let id = created(&world, "fleet-web.a", &spec).await;
    world.runtime().start(&id).await.expect("started");
    let process = process(&seen(&world, &id).await);
    assert_eq!(world.variable("fleet-web.a", process, "PASSWORD").as_deref(), Some(value));
    assert!(!format!("{spec:?}").contains("quoted"), "it is not shown by accident");
}

async fn pulled<W: World>(world: &W, reference: &str, credential: Option<&RegistryCredential>) -> Result<()> {
    let mut items = world.runtime().pull(reference, credential).await?;
    let ends = async {
        while let Some(item) = items.next().await {
            item?;
        }
        Ok(())
    };
    soon("the pull ends", ends).await
}

pub async fn an_archives_image_is_there_once_it_was_loaded_and_runs<W: World>(world: W) {
    for (format, name) in [("oci-archive", "fleet-web.a"), ("docker-archive", "fleet-web.b")] {
        let image = world.archive(format);
        let spec = CreateSpec { image: image.clone(), ..spec(&world, Demo::Obeys, "web", "a") };
        assert_eq!(world.runtime().image(&image).await, Ok(None), "{format}");
        assert_eq!(kind(world.runtime().create(name, &spec).await), ErrorKind::ImageMissing, "{format}");
        pulled(&world, &image, None).await.expect("loaded");
        let there = world.runtime().image(&image).await.expect("asked");
        assert!(there.is_some(), "{format}");
        let id = created(&world, name, &spec).await;
        assert_eq!(seen(&world, &id).await.image_id, there, "{format}");
        pulled(&world, &image, None).await.expect("loaded again");
        world.user_removes(name);
        world.forget_images();
    }
}

pub async fn an_archive_that_is_missing_or_broken_ends_in_one_error_that_says_which<W: World>(world: W) {
    let broken = world.broken_archive();
    assert_eq!(kind(pulled(&world, &broken, None).await), ErrorKind::Pull);
    let missing = world.missing_archive();
    let error = pulled(&world, &missing, None).await.expect_err("missing");
    assert_eq!(error.kind, ErrorKind::ImageMissing);
    assert!(error.to_string().contains(&missing), "{error}");
}

pub async fn a_private_registry_gives_its_image_only_to_who_shows_the_right_password<W: World>(mut world: W) {
    let image = world.private_image();
    let credential = |password: &str| RegistryCredential {
        user: private_registry::USER.into(),
        password: Hidden::new(password.as_bytes()),
        identity_token: None,
    };
    assert_eq!(kind(pulled(&world, &image, None).await), ErrorKind::RegistryAuth);
    let error = pulled(&world, &image, Some(&credential("wrong-one"))).await.expect_err("refused");
    assert_eq!(error.kind, ErrorKind::RegistryAuth, "{error}");
    assert!(!error.to_string().contains("wrong-one"), "{error}");
    assert_eq!(world.runtime().image(&image).await, Ok(None));
    pulled(&world, &image, Some(&credential(private_registry::PASSWORD))).await.expect("pulled");
    assert!(world.runtime().image(&image).await.expect("asked").is_some());
}

pub async fn networks_and_volumes_are_made_once_and_the_volume_outlives_its_container<W: World>(world: W) {
    let runtime = world.runtime();
    for _ in 0..2 {
        runtime.ensure_network("fleet-web", &labels()).await.expect("there");
        runtime.ensure_volume("fleet-web.data", &labels()).await.expect("there");
    }
    let mut spec = spec(&world, Demo::Obeys, "web", "a");
    spec.network = "fleet-web".into();
    spec.aliases = vec!["a".into()];
    spec.mounts = vec![Mount { source: "fleet-web.data".into(), target: "/data".into(), read_only: false }];
    let id = created(&world, "fleet-web.a", &spec).await;
    runtime.remove(&id).await.expect("removed");
    assert_eq!(world.volumes(), ["fleet-web.data"]);
    for _ in 0..2 {
        runtime.remove_network("fleet-web").await.expect("gone");
    }
}

pub async fn other_devices_and_foreign_containers_do_not_exist<W: World>(world: W) {
    world.add_foreign("somebody");
    let mut other = spec(&world, Demo::Obeys, "web", "a");
    other.labels.insert(label::DEVICE.into(), "d11".into());
    let id = created(&world, "fleet-other.a", &other).await;
    assert_eq!(world.runtime().list().await, Ok(vec![]));
    assert_eq!(world.runtime().look(&"web".parse().expect("valid")).await, Ok(vec![]));
    assert_eq!(world.runtime().holder("fleet-other.a").await, Ok(NameHolder::Foreign(id)));
    assert!(world.foreign_runs("somebody"));
    assert_eq!(device().as_str(), DEVICE);
}

pub async fn a_port_in_use_fails_the_start_with_its_own_kind<W: World>(world: W) {
    world.runtime().ensure_network("fleet-web", &labels()).await.expect("there");
    let mut ids = Vec::new();
    for service in ["a", "b"] {
        let spec = CreateSpec {
            ports: vec![port()],
            network: "fleet-web".into(),
            ..spec(&world, Demo::Obeys, "web", service)
        };
        ids.push(created(&world, &format!("fleet-web.{service}"), &spec).await);
    }
    world.runtime().start(&ids[0]).await.expect("the port is free");
    assert_eq!(kind(world.runtime().start(&ids[1]).await), ErrorKind::PortInUse);
    assert!(!seen(&world, &ids[1]).await.status.is_alive());
    process(&seen(&world, &ids[0]).await);
}

pub async fn a_runtime_that_says_running_of_a_dead_process_is_caught_and_healed<W: World>(world: W) {
    let (id, process) = started(&world, "fleet-web.a", Demo::Obeys).await;
    world.kill_behind_the_back("fleet-web.a", process);
    soon("death", world.runtime().death(process)).await;
    assert_eq!(seen(&world, &id).await.status, Status::Lying);
    world.runtime().start(&id).await.expect("says so");
    assert_eq!(seen(&world, &id).await.status, Status::Lying);
    world.runtime().remove(&id).await.expect("removed by force");
    started(&world, "fleet-web.a", Demo::Obeys).await;
}

pub async fn a_name_taken_only_in_storage_is_freed<W: World>(mut world: W) {
    world.make_orphan("fleet-web.a");
    let spec = spec(&world, Demo::Obeys, "web", "a");
    assert_eq!(kind(world.runtime().create("fleet-web.a", &spec).await), ErrorKind::NameInUse);
    assert_eq!(world.runtime().holder("fleet-web.a").await, Ok(NameHolder::Nobody));
    world.runtime().remove_orphan("fleet-web.a").await.expect("freed");
    created(&world, "fleet-web.a", &spec).await;
}

pub async fn a_start_and_a_death_are_hinted_at<W: World>(world: W) {
    let id = created(&world, "fleet-web.a", &spec(&world, Demo::Obeys, "web", "a")).await;
    let mut hints = world.runtime().hints().await.expect("listening");
    world.runtime().start(&id).await.expect("started");
    next(&mut hints, "hint at the start").await;
    quiet(&mut hints).await;
    let process = process(&seen(&world, &id).await);
    signalled_to_death(&world, &id, "SIGKILL", process).await;
    next(&mut hints, "hint at the death").await;
    assert_eq!(ended(&world, &id).await, 137);
    quiet(&mut hints).await;
    world.runtime().remove(&id).await.expect("removed");
    next(&mut hints, "hint at the removal").await;
}

/// Takes all that is still on its way: podman delivers in batches, four in a second.
async fn quiet(hints: &mut BoxStream<'static, Result<Hint>>) {
    while tokio::time::timeout(Duration::from_millis(700), hints.next()).await.is_ok() {}
}

async fn next(hints: &mut BoxStream<'static, Result<Hint>>, what: &str) {
    let hint = soon(what, hints.next()).await.expect("the stream goes on").expect("readable");
    assert_eq!(hint.deployment.as_str(), "web");
}

pub async fn a_pull_from_a_registry_that_is_not_there_ends_in_one_error<W: World>(world: W) {
    let pull = world.runtime().pull(DEAD_REGISTRY_IMAGE, None).await.expect("begins");
    let items: Vec<_> = soon("the end of the pull", pull.collect()).await;
    let (last, before) = items.split_last().expect("at least the error");
    assert!(before.iter().all(Result::is_ok));
    let error = last.as_ref().expect_err("an error");
    assert_eq!((error.kind, error.object.as_str()), (ErrorKind::Pull, DEAD_REGISTRY_IMAGE));
    assert!(error.message.contains("connection refused"), "{error}");
}

pub async fn the_room_for_images_is_told<W: World>(world: W) {
    let (path, free) = world.room();
    let told = world.runtime().storage().await.expect("asked").expect("it is seen from here");
    assert_eq!(told.path, path);
    // Others write meanwhile.
    assert!(told.free.abs_diff(free) < 1 << 30, "{} is not about {free}", told.free);
}

pub async fn an_image_goes_with_its_last_name_and_not_while_a_container_uses_it<W: World>(world: W) {
    let runtime = world.runtime();
    let (name, second) = (world.image(Demo::Obeys), "localhost/second:1");
    world.tag(&name, second);
    let id = runtime.image(&name).await.expect("asked").expect("there");
    let listed = async || {
        let all = runtime.images().await.expect("listed");
        all.into_iter().find(|image| image.id == id).map(|image| (image.names.len(), image.is_used))
    };
    assert_eq!(listed().await, Some((2, false)));
    assert_eq!(runtime.image(&id).await, Ok(Some(id.clone())), "by its id too");
    assert_eq!(runtime.remove_image(second).await, Ok(true));
    assert_eq!(listed().await, Some((1, false)));
    // One that never ran uses it too.
    let container = created(&world, "fleet-web.a", &spec(&world, Demo::Obeys, "web", "a")).await;
    assert_eq!(listed().await, Some((1, true)));
    assert_eq!(runtime.remove_image(&name).await, Ok(false));
    assert_eq!(runtime.remove_image(&id).await, Ok(false));
    assert_eq!(listed().await, Some((1, true)));
    runtime.remove(&container).await.expect("removed");
    assert_eq!(runtime.remove_image(&name).await, Ok(true));
    assert_eq!((listed().await, runtime.image(&name).await), (None, Ok(None)));
    assert_eq!(runtime.remove_image(&name).await, Ok(true), "one that is not there is a success");
    assert_eq!(runtime.remove_image(&id).await, Ok(true));
    assert_eq!(runtime.image(&id).await, Ok(None));
}

pub async fn a_restart_of_the_service_changes_nothing_that_is_seen<W: World>(mut world: W) {
    let (id, process) = started(&world, "fleet-web.a", Demo::Obeys).await;
    let before = seen(&world, &id).await;
    world.restart_service();
    assert_eq!(seen(&world, &id).await, before);
    signalled_to_death(&world, &id, "SIGTERM", process).await;
    assert_eq!(ended(&world, &id).await, 5);
}

pub async fn a_missing_socket_is_unreachable_in_every_call<W: World>(world: W) {
    let (runtime, id) = (world.unreachable(), ContainerId::new("abc"));
    let spec = spec(&world, Demo::Obeys, "web", "a");
    let errors = [
        kind(runtime.info().await),
        kind(runtime.list().await),
        kind(runtime.look(&"web".parse().expect("valid")).await),
        kind(runtime.holder("fleet-web.a").await),
        kind(runtime.create("fleet-web.a", &spec).await),
        kind(runtime.put_files(&id, &[file("/a", 0o644, FileOwner::Root, b"")]).await),
        kind(runtime.start(&id).await),
        kind(runtime.signal(&id, "SIGTERM").await),
        kind(runtime.rename(&id, "fleet-web.b").await),
        kind(runtime.remove(&id).await),
        kind(runtime.remove_orphan("fleet-web.a").await),
        kind(runtime.ensure_network("fleet-web", &labels()).await),
        kind(runtime.remove_network("fleet-web").await),
        kind(runtime.ensure_volume("fleet-web.data", &labels()).await),
        kind(runtime.image("localhost/demo:1").await),
        kind(runtime.storage().await),
        kind(runtime.images().await),
        kind(runtime.remove_image("localhost/demo:1").await),
    ];
    assert!(errors.iter().all(|kind| *kind == ErrorKind::Unreachable), "{errors:?}");
    assert_eq!(kind(first(runtime.pull("localhost/demo:1", None).await).await), ErrorKind::Unreachable);
    assert_eq!(kind(first(runtime.hints().await).await), ErrorKind::Unreachable);
}

/// The error of a stream may come with the call or as its first item.
async fn first<T>(stream: Result<BoxStream<'static, Result<T>>>) -> Result<T> {
    stream?.next().await.expect("an item")
}
