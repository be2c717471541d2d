//! Who may name whom. Judged on text; what each rule guards is said in ARCHITECTURE.md.
use crate::source::Source;

const CONCRETE: [&str; 11] = [
    "crate::runtime::podman",
    "crate::runtime::process",
    "crate::runtime::fake",
    "crate::bus::nats",
    "crate::bus::fake",
    "crate::store::disk",
    "crate::store::lock",
    "crate::store::fake",
    "crate::credentials::fixed",
    "crate::vault::disk",
    "crate::vault::fake",
];
const ADAPTERS: [&str; 6] =
    ["crate::runtime", "crate::bus", "crate::store", "crate::credentials", "crate::vault", "crate::upgrade"];
/// Below the actors: they hold no opinion on what the agent is for.
const GROUND: [&str; 5] = ["crate::inventory", "crate::telemetry", "crate::supervision", QUESTIONS, FAULTS];
/// To a disk that may not answer: named by who asks one.
const QUESTIONS: &str = "crate::questions";
/// What a test makes fail: named by all but `domain`, names none.
const FAULTS: &str = "crate::faults";

/// Crates that only these modules name.
const OWNERS: [(&str, &str); 3] = [
    ("ractor", "crate::supervision"),
    ("bollard", "crate::runtime::podman"),
    ("async_nats", "crate::bus::nats"),
];

/// What `domain` may name outside the standard library.
const PURE: [&str; 7] = ["crate::domain", "fleet_contracts", "ring", "serde", "thiserror", "core", "alloc"];
/// Parts of the standard library that look at the world or at the time.
const WORLD: [&str; 9] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
];

fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_in_any(path: &str, modules: &[&str]) -> bool {
    modules.iter().any(|module| is_in(path, module))
}

/// Why a module of the agent may not name a path, if so. `crates` are the agent's dependencies.
pub fn agent(source: &Source, path: &str, crates: &[String]) -> Option<&'static str> {
    let module = source.module.as_str();
    let first = path.split("::").next().unwrap_or_default();
    let is_ours = first == "crate";
    if !is_ours && !matches!(first, "std" | "core" | "alloc") && !crates.iter().any(|name| name == first) {
        return None;
    }
    if OWNERS.iter().any(|(name, owner)| first == *name && !is_in(module, owner)) {
        return Some("this crate has one owner");
    }
    if is_concrete_elsewhere(module, path) {
        return Some("only tree, app and main name concrete adapters");
    }
    if is_foreign_actor(module, path) {
        return Some("only tree names actors; they know each other by messages");
    }
    let (allowed, why): (Vec<&str>, _) = if is_in(module, "crate::domain") {
        let is_pure = is_in_any(path, &PURE) || (first == "std" && !is_in_any(path, &WORLD));
        return (!is_pure).then_some("domain is pure");
    } else if is_in(module, "crate::actors") {
        let ground =
            ["crate::actors", "crate::messages", "crate::domain", "crate::supervision", "crate::telemetry"];
        ([ground.as_slice(), &ADAPTERS].concat(), "actors know messages, domain, supervision and traits")
    } else if is_in(module, "crate::messages") {
        let ground = ["crate::messages", "crate::domain", "crate::supervision"];
        ([ground.as_slice(), &ADAPTERS].concat(), "messages are made of domain and traits' types")
    } else if let Some(own) = GROUND.iter().find(|own| is_in(module, own)) {
        (vec![*own], "it knows nothing of the rest of the agent")
    } else if is_in(module, "crate::systemd") {
        (vec!["crate::systemd", "crate::supervision"], "it tells systemd how the tree is, nothing else")
    } else if is_in(module, "crate::config") {
        ([&["crate::config"], ADAPTERS.as_slice()].concat(), "config is made of adapters' settings")
    } else if is_in_any(module, &ADAPTERS) {
        ([&["crate::domain"], ADAPTERS.as_slice()].concat(), "adapters know the world and domain's words")
    } else {
        return None;
    };
    let asks = is_in(module, "crate::actors") || is_in_any(module, &ADAPTERS);
    let may = is_in_any(path, &allowed) || is_in(path, FAULTS) || (asks && is_in(path, QUESTIONS));
    (is_ours && !may).then_some(why)
}

fn is_concrete_elsewhere(module: &str, path: &str) -> bool {
    let composes = matches!(module, "crate" | "crate::tree" | "crate::app");
    let Some(adapter) = CONCRETE.iter().find(|concrete| is_in(path, concrete)) else { return false };
    let side = ADAPTERS.iter().find(|side| is_in(adapter, side));
    !composes && !side.is_some_and(|side| is_in(module, side))
}

/// `crate::actors::x::…` with a small x is an actor; with a capital or a function it is a shared item.
fn is_foreign_actor(module: &str, path: &str) -> bool {
    let Some(rest) = path.strip_prefix("crate::actors::") else { return false };
    let name = rest.split("::").next().unwrap_or_default();
    let is_actor = ACTORS.contains(&name);
    is_actor && module != "crate::tree" && !is_in(module, &format!("crate::actors::{name}"))
}

pub const ACTORS: [&str; 9] = [
    "command_server",
    "deployments",
    "effects",
    "heartbeat",
    "kv_watcher",
    "observer",
    "ownership",
    "reconciler",
    "reporter",
];

/// Words that a pure module has no use for.
pub fn domain_words(source: &Source) -> Option<&'static str> {
    let impure = |word: &&str| matches!(*word, "async" | "await" | "tokio" | "ractor");
    (is_in(&source.module, "crate::domain") && source.words().iter().any(impure))
        .then_some("domain has no async and no clock")
}

/// Only the tree starts actors.
pub fn starts_actors(source: &Source) -> bool {
    let calls = ["worker::<", "supervisor(", "keyed::<", "worker(", "keyed(", "run_root("];
    let is_call = |call: &str| {
        source.code.match_indices(call).any(|(at, _)| {
            let before = source.code[..at].trim_end();
            let own_word = !source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            own_word && !before.ends_with('.') && !before.ends_with("fn")
        })
    };
    let may = is_in_any(&source.module, &["crate::tree", "crate::supervision"]);
    !may && calls.into_iter().any(is_call)
}

pub fn contracts(path: &str) -> Option<&'static str> {
    let forbidden = ["tokio", "async_nats", "bollard", "ractor", "fleet_agent", "futures_util"];
    is_in_any(path, &forbidden).then_some("the contract is for everybody's software")
}

pub fn fleetctl(path: &str) -> Option<&'static str> {
    is_in_any(path, &["fleet_agent", "bollard", "ractor"]).then_some("fleetctl knows the contract only")
}
