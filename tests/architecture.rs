//! The direction of imports, read from the sources; and the drawing of the tree, the same everywhere.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use source::Source;
use std::fs;
use std::path::{Path, PathBuf};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source below a directory, tests left out.
fn sources(directory: &str) -> Vec<Source> {
    let root = here().join(directory);
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(!files.is_empty(), "nothing to read in {directory}");
    let relative = |file: &PathBuf| file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    let read = |file: &PathBuf| Source::new("crate", &relative(file), &fs::read_to_string(file).unwrap());
    files.iter().filter(|file| !is_test(&relative(file))).map(read).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Names of a manifest's dependencies, as code spells them.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(here().join(manifest)).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).expect("it has dependencies");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['.', ' ']).next());
    names.filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

fn broken_in_agent(sources: &[Source], crates: &[String]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let module = &source.module;
        for path in source.paths() {
            // The binary names its own library.
            let path = path.replacen("fleet_agent", "crate", 1);
            if let Some(why) = rules::agent(source, &path, crates) {
                broken.push(format!("{module} names {path}: {why}"));
            }
        }
        broken.extend(rules::domain_words(source).map(|why| format!("{module}: {why}")));
        if rules::starts_actors(source) {
            broken.push(format!("{module} starts an actor: only tree does"));
        }
    }
    broken
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn imports_go_in_one_direction() {
    assert_eq!(broken_in_agent(&sources("src"), &dependencies("Cargo.toml")), none());
}

#[test]
fn the_contract_is_for_everybodys_software() {
    let named = sources("contracts/src").into_iter().flat_map(|source| source.paths());
    let named = named.chain(dependencies("contracts/Cargo.toml"));
    let broken: Vec<String> = named.filter(|path| rules::contracts(path).is_some()).collect();
    assert_eq!(broken, none());
}

#[test]
fn fleetctl_knows_the_contract_and_not_the_agent() {
    let named = sources("fleetctl/src").into_iter().flat_map(|source| source.paths());
    let named = named.chain(dependencies("fleetctl/Cargo.toml"));
    let broken: Vec<String> = named.filter(|path| rules::fleetctl(path).is_some()).collect();
    assert_eq!(broken, none());
}

/// Decisions know only the time since the process began; what the wall clock says is told to people and programs.
#[test]
fn the_wall_clock_is_read_only_to_be_told() {
    const TELL: [&str; 11] = [
        "crate::actors",
        "crate::actors::command_server::verbs",
        "crate::actors::deployments",
        // When a job ended, for who reads the record.
        "crate::actors::deployments::disk",
        "crate::actors::heartbeat",
        "crate::actors::reporter",
        // Since when podman's events are wanted: podman's clock is the same, and events are hints.
        "crate::runtime::podman::hints",
        "crate::store::lock",
        "crate::supervision::live",
        "crate::supervision::node",
        "crate::watchdog::breadcrumb",
    ];
    let reads = |source: &Source| {
        source.code.contains("Timestamp::now()") || source.code.contains("SystemTime::now()")
    };
    let readers = sources("src").into_iter().filter(reads).map(|source| source.module);
    // Whether it is wrong: `clock_synced`.
    let others: Vec<String> = readers
        .filter(|module| !TELL.contains(&module.as_str()) && module != "crate::inventory::clock")
        .filter(|module| !module.ends_with("tests"))
        .collect();
    assert_eq!(others, none());
}

#[test]
fn every_actor_says_what_it_owns_hears_tells_and_does_after_a_crash() {
    for actor in rules::ACTORS {
        let text = fs::read_to_string(here().join(format!("src/actors/{actor}.rs"))).unwrap();
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for said in ["Owns: ", "Hears: ", "Tells: ", "After a crash: "] {
            let is_said = header.iter().any(|line| line.starts_with(&format!("//! {said}")));
            assert!(is_said, "src/actors/{actor}.rs does not say `{said}`");
        }
    }
}

#[test]
fn every_actor_is_known_to_these_rules_and_has_messages() {
    let files = |directory: &str| {
        let entries = fs::read_dir(here().join(directory)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())).collect();
        names.retain(|name| name != "tests");
        names.sort();
        names
    };
    assert_eq!(files("src/actors"), rules::ACTORS);
    // One supervisor of many: its messages bear the supervisor's name.
    let named: Vec<String> = rules::ACTORS.map(|name| name.replace("reconciler", "reconcilers")).to_vec();
    assert_eq!(files("src/messages"), named);
}

/// The drawing in a document: from the root's line to the end of its block.
fn drawing(file: &str) -> String {
    let text = fs::read_to_string(here().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let lines = text.lines().map(|line| line.strip_prefix("//! ").unwrap_or(line));
    let from_root = lines.skip_while(|line| !line.starts_with("fleet-agent  "));
    let drawn: Vec<&str> = from_root.take_while(|line| !line.starts_with("```")).collect();
    assert!(drawn.len() > 5, "{file} has no drawing of the tree");
    drawn.join("\n")
}

#[test]
fn the_drawing_of_the_tree_is_the_same_everywhere() {
    let tree = drawing("src/tree.rs");
    for file in ["ARCHITECTURE.md", "README.md"] {
        assert_eq!(drawing(file), tree, "{file}");
    }
}

/// Each of these would be a step towards the house falling apart; each must be seen.
#[test]
fn what_is_forbidden_is_found() {
    let forbidden = [
        ("domain/x.rs", "use crate::runtime::ContainerRuntime;"),
        ("domain/x.rs", "use crate::{domain::plan, messages};"),
        ("domain/x.rs", "fn f() { let t = tokio::time::Instant::now(); }"),
        ("domain/x.rs", "use std::time::Instant;"),
        ("domain/x.rs", "use std::time::{Duration, SystemTime};"),
        ("domain/x.rs", "use std::time; fn f() -> time::Instant {}"),
        ("domain/x.rs", "use tracing::info;"),
        ("domain/x.rs", "async fn f() {}"),
        ("actors/effects.rs", "use super::observer::Observer;"),
        ("actors/effects.rs", "use crate::actors::{Clock, reconciler};"),
        ("actors/effects/pull.rs", "use super::super::heartbeat;"),
        ("actors/effects.rs", "use crate::runtime::podman::PodmanRuntime;"),
        ("actors/effects.rs", "use crate::store::disk;"),
        ("actors/effects.rs", "use crate::bus; fn f() { bus::nats::connect() }"),
        ("actors/effects.rs", "use crate::config::Config;"),
        ("actors/effects.rs", "use crate::tree::Parts;"),
        ("actors/effects.rs", "fn f() { worker::<X>(1) }"),
        ("actors/effects.rs", "fn f(p: Y) { let child = keyed::<_, X>(p); }"),
        ("messages/effects.rs", "use crate::actors::effects::Effects;"),
        ("messages/effects.rs", "use crate::actors::Clock;"),
        ("messages/effects.rs", "use crate::bus::fake::FakeBus;"),
        ("supervision/crew.rs", "use crate::domain::time::Moment;"),
        ("supervision/crew.rs", "use crate::messages;"),
        ("bus/fake.rs", "use crate::actors::Identity;"),
        ("runtime/podman/create.rs", "use crate::messages::effects::Creation;"),
        ("store.rs", "use crate::tree;"),
        ("telemetry.rs", "use crate::config::Config;"),
        ("actors/heartbeat.rs", "fn f(a: ractor::ActorRef<u8>) {}"),
        ("tree.rs", "use ractor::Actor;"),
        ("runtime.rs", "use bollard::Docker;"),
        ("bus.rs", "use async_nats::Client;"),
        ("credentials.rs", "use async_nats as nats;"),
        ("app.rs", "use crate::actors::effects::Effects;"),
        ("app.rs", "fn f() { supervisor(spec) }"),
        ("main.rs", "use fleet_agent::actors::observer;"),
    ];
    let crates = dependencies("Cargo.toml");
    for (file, text) in forbidden {
        let broken = broken_in_agent(&[Source::new("crate", file, text)], &crates);
        assert!(!broken.is_empty(), "{file} may say `{text}`");
    }
}

#[test]
fn what_is_allowed_is_not_complained_of() {
    let allowed = [
        ("domain/x.rs", "use std::time::Duration; use fleet_contracts::names; use super::plan::Step;"),
        ("actors/effects.rs", "use super::{Clock, dice}; use crate::runtime::ContainerRuntime; mod pull;"),
        ("actors/effects/pull.rs", "use super::operations::failure; use tokio::time::Instant;"),
        ("messages/effects.rs", "use crate::bus::LinkState; use crate::supervision::Reply;"),
        (
            "supervision/crew.rs",
            "use ractor::Actor; use super::node::Node; use fleet_contracts::commands::Actor;",
        ),
        ("runtime/podman/create.rs", "use bollard::Docker; use crate::domain::spec::CreateSpec;"),
        ("bus/nats.rs", "use async_nats::Client; use crate::credentials::Credentials;"),
        (
            "tree.rs",
            "use crate::actors::effects; fn f() { worker::<effects::Effects>(1); spec.supervisor() }",
        ),
        ("app.rs", "use crate::bus::nats::NatsBus; use crate::actors::Identity;"),
        ("main.rs", "use fleet_agent::store::lock::LockError;"),
        ("actors/effects.rs", "#[cfg(test)] mod tests { use crate::runtime::fake::FakeRuntime; }"),
    ];
    let crates = dependencies("Cargo.toml");
    for (file, text) in allowed {
        assert_eq!(broken_in_agent(&[Source::new("crate", file, text)], &crates), none(), "{file}: {text}");
    }
}
