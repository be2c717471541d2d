//! THE supervision tree: who supervises whom, in which order, and what happens when patience ends.
//! Nothing else starts an actor. A test renders the table below and compares it with this drawing,
//! and another compares both with a running tree.
//!
//! What must survive longest starts first and stops last. Order-dependent rebuilding is not needed
//! at the root, because every message can be repeated: a restarted keyed supervisor still has its
//! wanted set, a restarted `deployments` reads the ledger, a restarted reconciler asks for its duty.
//! Containers run from the ledger before, and without, the network.
//!
//! ```text
//! fleet-agent                  one_for_one    5 in 300 s   then exit 70, systemd restarts the process
//! ├─ ownership                 holds the state-directory lock: owner or standby
//! ├─ runtime                   rest_for_one   4 in 120 s   then fleet-agent decides
//! │  ├─ effects                one lane per deployment; owns operations in flight
//! │  └─ observer               relists; listens to the runtime's event stream as a hint
//! ├─ reconcilers               keyed          4 in 600 s per child, then that one is parked
//! │  └─ <deployment>           brings one deployment about
//! ├─ deployments               owns the ledger: what should run
//! └─ link                      one_for_one    8 in 300 s   then parked 300 s and tried again
//!    ├─ kv_watcher             follows the desired state: snapshots, and a watch as a hint
//!    ├─ reporter               publishes states and device info, the latest per key
//!    ├─ heartbeat              says every 30 s that the device is there, and how it is
//!    └─ command_server         answers the command verbs
//! ```
use crate::actors::{
    Clock, Hold, Identity, command_server, deployments, effects, heartbeat, kv_watcher, observer, ownership,
    reconciler, reporter,
};
use crate::bus::Bus;
use crate::domain::floor::Floor;
use crate::domain::ledger::Shunned;
use crate::messages::deployments::{ChildNews, Deployments};
use crate::runtime::ContainerRuntime;
use crate::store::{LedgerStore, OwnershipView, StateOwner};
use crate::supervision::{
    Address, Board, Budget, ChildSpec, Ending, Keyed, KeyedSpec, Root, Strategy, SupervisorSpec, keyed,
    run_root_watched, supervisor, worker,
};
use crate::telemetry::LogFilter;
use crate::vault::Vault;
use crate::watchdog::breadcrumb::LastCrash;
use fleet_contracts::device::Inventory;
use fleet_contracts::tree_text::{self, Line};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const ROOT: &str = "fleet-agent";

/// What the tree is made of: the world behind traits, and the settings.
#[derive(Clone)]
pub struct Parts {
    pub identity: Identity,
    /// None: `runtime_enabled = false`. No socket is opened, desired state is dropped.
    pub runtime: Option<Arc<dyn ContainerRuntime>>,
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn LedgerStore>,
    pub vault: Arc<dyn Vault>,
    /// How much must be free before an image is fetched.
    pub floor: Floor,
    pub owner: Arc<dyn StateOwner>,
    pub inventory: Inventory,
    pub labels: BTreeMap<String, String>,
    pub config_digest: String,
    pub reply_prefixes: Vec<String>,
    pub log: LogFilter,
    pub heartbeat_every: Duration,
    pub reconcile_every: Duration,
    pub clock_synced: fn() -> bool,
    /// How the process before this one ended by a fault of its own.
    pub last_crash: Option<LastCrash>,
    /// Documents that must not be read.
    pub shunned: Shunned,
    /// How long nothing is changed at first, after ends of its own in a row.
    pub hold: Option<Hold>,
}

/// Starts the tree.
pub async fn run(parts: Parts) -> Root {
    run_watched(parts, |_| ()).await
}

/// The same; `watch` gets the board before the first actor starts.
pub async fn run_watched(parts: Parts, watch: impl FnOnce(Board)) -> Root {
    let cell = Arc::new(OnceLock::new());
    let spec = declare(parts, cell.clone());
    run_root_watched(spec, |board| {
        // Nobody else sets it.
        let _ = cell.set(board.clone());
        watch(board);
    })
    .await
}

/// The tree as data.
pub fn declare(parts: Parts, board: Arc<OnceLock<Board>>) -> SupervisorSpec {
    let wires = Wires::default();
    let view = OwnershipView::new(parts.owner.clone());
    let clock = Clock::start();
    let mut children = vec![ownership(&parts, &view)];
    if let Some(runtime) = &parts.runtime {
        children.push(runtime_side(&parts, &wires, runtime, &view, clock));
        children.push(reconcilers(&parts, &wires, clock));
    }
    children.push(ledger_side(&parts, &wires, view, clock));
    children.push(link(&parts, &wires, board, clock));
    SupervisorSpec {
        name: ROOT,
        about: "then exit 70, systemd restarts the process",
        strategy: Strategy::OneForOne,
        budget: Budget { max: 5, within: Duration::from_secs(300) },
        ending: Ending::Escalate,
        children,
    }
}

/// The addresses by which actors know each other.
#[derive(Default)]
struct Wires {
    effects: Address<crate::messages::effects::Effects>,
    observer: Address<crate::messages::observer::Observer>,
    reconcilers: Keyed<fleet_contracts::DeploymentName, crate::messages::reconcilers::Reconciler>,
    deployments: Address<crate::messages::deployments::Deployments>,
    kv_watcher: Address<crate::messages::kv_watcher::KvWatcher>,
    reporter: Address<crate::messages::reporter::Reporter>,
    heartbeat: Address<crate::messages::heartbeat::Heartbeat>,
}

fn ownership(parts: &Parts, view: &OwnershipView) -> ChildSpec {
    let args = ownership::Args { owner: parts.owner.clone(), view: view.clone() };
    worker::<ownership::Ownership>(
        "ownership",
        "holds the state-directory lock: owner or standby",
        args,
        Address::new(),
    )
}

fn runtime_side(
    parts: &Parts,
    wires: &Wires,
    runtime: &Arc<dyn ContainerRuntime>,
    view: &OwnershipView,
    clock: Clock,
) -> ChildSpec {
    let effects = effects::Args {
        runtime: runtime.clone(),
        reconcilers: wires.reconcilers.clone(),
        ownership: view.clone(),
        clock,
        vault: parts.vault.clone(),
        floor: parts.floor,
    };
    let observer = observer::Args {
        runtime: runtime.clone(),
        reconcilers: wires.reconcilers.clone(),
        deployments: wires.deployments.clone(),
        reporter: wires.reporter.clone(),
        relist_every: parts.reconcile_every,
        clock,
    };
    supervisor(SupervisorSpec {
        name: "runtime",
        about: "then fleet-agent decides",
        strategy: Strategy::RestForOne,
        budget: Budget { max: 4, within: Duration::from_secs(120) },
        ending: Ending::Escalate,
        children: vec![
            worker::<effects::Effects>(
                "effects",
                "one lane per deployment; owns operations in flight",
                effects,
                wires.effects.clone(),
            ),
            worker::<observer::Observer>(
                "observer",
                "relists; listens to the runtime's event stream as a hint",
                observer,
                wires.observer.clone(),
            ),
        ],
    })
}

fn reconcilers(parts: &Parts, wires: &Wires, clock: Clock) -> ChildSpec {
    let spec = KeyedSpec {
        name: "reconcilers",
        about: "brings one deployment about",
        // The fifth crash is one too many.
        budget: Budget { max: 4, within: Duration::from_secs(600) },
        stop_within: Duration::from_secs(2),
    };
    let device = parts.identity.device.clone();
    let (deployments, effects, observer) =
        (wires.deployments.clone(), wires.effects.clone(), wires.observer.clone());
    let (hold, vault) = (parts.hold, parts.vault.clone());
    let args = move |name: &fleet_contracts::DeploymentName| reconciler::Args {
        device: device.clone(),
        name: name.clone(),
        deployments: deployments.clone(),
        effects: effects.clone(),
        observer: observer.clone(),
        clock,
        hold,
        vault: vault.clone(),
    };
    let told = wires.deployments.clone();
    let parked = move |name: &fleet_contracts::DeploymentName, failure: &str| {
        told.send(Deployments::Child(name.clone(), ChildNews::Parked(failure.to_owned())));
    };
    keyed::<_, reconciler::Reconciler>(spec, &wires.reconcilers, args, |_| (), parked)
}

fn ledger_side(parts: &Parts, wires: &Wires, ownership: OwnershipView, clock: Clock) -> ChildSpec {
    let args = deployments::Args {
        device: parts.identity.device.clone(),
        store: parts.store.clone(),
        ownership,
        reconcilers: wires.reconcilers.clone(),
        reporter: wires.reporter.clone(),
        kv_watcher: wires.kv_watcher.clone(),
        observer: wires.observer.clone(),
        effects: wires.effects.clone(),
        runtime_enabled: parts.runtime.is_some(),
        reading: deployments::reading(parts.shunned.clone()),
        blamed: deployments::Blamed::new(parts.last_crash.as_ref().and_then(blamed)),
        hold: parts.hold,
        clock,
    };
    worker::<deployments::Deployments>(
        "deployments",
        "owns the ledger: what should run",
        args,
        wires.deployments.clone(),
    )
}

fn link(parts: &Parts, wires: &Wires, board: Arc<OnceLock<Board>>, clock: Clock) -> ChildSpec {
    supervisor(SupervisorSpec {
        name: "link",
        about: "",
        strategy: Strategy::OneForOne,
        budget: Budget { max: 8, within: Duration::from_secs(300) },
        ending: Ending::Park(Duration::from_secs(300)),
        children: vec![
            kv_watcher_spec(parts, wires),
            reporter_spec(parts, wires),
            heartbeat_spec(parts, wires, clock),
            command_server_spec(parts, wires, board, clock),
        ],
    })
}

fn kv_watcher_spec(parts: &Parts, wires: &Wires) -> ChildSpec {
    let args = kv_watcher::Args {
        device: parts.identity.device.clone(),
        bus: parts.bus.clone(),
        deployments: wires.deployments.clone(),
    };
    worker::<kv_watcher::KvWatcher>(
        "kv_watcher",
        "follows the desired state: snapshots, and a watch as a hint",
        args,
        wires.kv_watcher.clone(),
    )
}

fn reporter_spec(parts: &Parts, wires: &Wires) -> ChildSpec {
    let args = reporter::Args {
        identity: parts.identity.clone(),
        bus: parts.bus.clone(),
        deployments: wires.deployments.clone(),
        observer: wires.observer.clone(),
        labels: parts.labels.clone(),
        inventory: parts.inventory.clone(),
        config_digest: parts.config_digest.clone(),
    };
    worker::<reporter::Reporter>(
        "reporter",
        "publishes states and device info, the latest per key",
        args,
        wires.reporter.clone(),
    )
}

fn heartbeat_spec(parts: &Parts, wires: &Wires, clock: Clock) -> ChildSpec {
    let args = heartbeat::Args {
        identity: parts.identity.clone(),
        bus: parts.bus.clone(),
        deployments: wires.deployments.clone(),
        every: parts.heartbeat_every,
        clock,
        clock_synced: parts.clock_synced,
        last_crash: parts.last_crash.as_ref().map(|crash| crash.line.clone()),
        sequence: Arc::new(AtomicU64::new(0)),
    };
    worker::<heartbeat::Heartbeat>(
        "heartbeat",
        "says every 30 s that the device is there, and how it is",
        args,
        wires.heartbeat.clone(),
    )
}

fn command_server_spec(parts: &Parts, wires: &Wires, board: Arc<OnceLock<Board>>, clock: Clock) -> ChildSpec {
    let args = command_server::Args {
        identity: parts.identity.clone(),
        bus: parts.bus.clone(),
        clock,
        deployments: wires.deployments.clone(),
        heartbeat: wires.heartbeat.clone(),
        reporter: wires.reporter.clone(),
        observer: wires.observer.clone(),
        board,
        reply_prefixes: parts.reply_prefixes.clone(),
        log: parts.log.clone(),
    };
    worker::<command_server::CommandServer>(
        "command_server",
        "answers the command verbs",
        args,
        Address::new(),
    )
}

/// The deployment to blame, and how it ended the process. One whose document was only read need not have one that was
/// accepted: that is counted elsewhere.
fn blamed(crash: &LastCrash) -> Option<(fleet_contracts::DeploymentName, String)> {
    let deployment = crash.deployment.clone().filter(|_| crash.reading.is_none())?;
    Some((deployment, crash.line.clone()))
}

/// The declared tree as the drawing above.
pub fn draw(spec: &SupervisorSpec) -> String {
    let mut lines = vec![Line::new(0, spec.name, supervisor_text(spec))];
    below(spec, 1, &mut lines);
    tree_text::draw(&lines)
}

fn below(spec: &SupervisorSpec, depth: usize, lines: &mut Vec<Line>) {
    for child in &spec.children {
        if let Some(inner) = child.supervisor() {
            lines.push(Line::new(depth, child.name(), supervisor_text(inner)));
            below(inner, depth + 1, lines);
        } else if let Some(inner) = child.keyed() {
            let text = format!("{:<15}{} per child, then that one is parked", "keyed", inner.budget);
            lines.push(Line::new(depth, child.name(), text));
            lines.push(Line::new(depth + 1, "<deployment>", inner.about));
        } else {
            lines.push(Line::new(depth, child.name(), child.about()));
        }
    }
}

fn supervisor_text(spec: &SupervisorSpec) -> String {
    let end = match spec.ending {
        Ending::Escalate => spec.about.to_owned(),
        Ending::Park(wait) => format!("then parked {} s and tried again", wait.as_secs()),
    };
    format!("{:<15}{:<13}{end}", spec.strategy.as_str(), spec.budget.to_string())
}

#[cfg(test)]
mod tests;
