use super::*;
use crate::bus::fake::FakeBus;
use crate::runtime::fake::FakeRuntime;
use crate::store::fake::{FakeLedger, FakeOwner};
use crate::vault::fake::FakeVault;
use fleet_contracts::commands::ActorKind;

fn parts() -> Parts {
    let device: fleet_contracts::DeviceId = "d1".parse().unwrap();
    Parts {
        identity: Identity { device: device.clone(), agent_version: "0".into(), instance: "i".into() },
        runtime: Some(Arc::new(FakeRuntime::new(device))),
        bus: Arc::new(FakeBus::new()),
        store: Arc::new(FakeLedger::default()),
        vault: Arc::new(FakeVault::default()),
        floor: Floor::default(),
        owner: Arc::new(FakeOwner::new(true)),
        inventory: inventory(),
        labels: BTreeMap::new(),
        config_digest: String::new(),
        reply_prefixes: vec!["_INBOX.".into()],
        log: crate::telemetry::LogFilter::new(None).0,
        heartbeat_every: Duration::from_secs(30),
        reconcile_every: Duration::from_secs(30),
        clock_synced: || true,
        last_crash: None,
        shunned: Default::default(),
        hold: None,
    }
}

fn inventory() -> Inventory {
    Inventory {
        hostname: "h".into(),
        arch: "a".into(),
        os: "o".into(),
        os_release: "r".into(),
        kernel: "k".into(),
        cpu_cores: 1,
        memory_mb: 1,
        disk_total_mb: 1,
        agent_version: "0".into(),
        runtime: None,
        boot_id: "b".into(),
    }
}

/// The drawing in the documentation of `tree.rs`, which ARCHITECTURE.md and README.md show too.
fn drawing(file: &str) -> String {
    let from = file.find("fleet-agent                  one_for_one").expect("there is a drawing");
    let lines = file[file[..from].rfind('\n').map_or(0, |at| at + 1)..].lines();
    let stripped = lines.map(|line| line.strip_prefix("//! ").unwrap_or(line));
    stripped.take_while(|line| !line.starts_with("```")).map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn the_drawing_is_the_declared_tree() {
    let declared = draw(&declare(parts(), Arc::default()));
    assert_eq!(drawing(include_str!("../tree.rs")), declared);
}

#[tokio::test]
async fn the_live_tree_is_the_declared_one() {
    let declared = declare(parts(), Arc::default());
    let root = run(parts()).await;
    let live: Vec<(String, ActorKind, Option<String>)> =
        root.board().actors().into_iter().map(|actor| (actor.name, actor.kind, actor.strategy)).collect();
    assert_eq!(live, table(&declared));
    root.stop(Duration::from_secs(5)).await;
}

fn table(spec: &SupervisorSpec) -> Vec<(String, ActorKind, Option<String>)> {
    let mut rows =
        vec![(spec.name.to_owned(), ActorKind::Supervisor, Some(spec.strategy.as_str().to_owned()))];
    table_below(spec, spec.name, &mut rows);
    rows
}

fn table_below(spec: &SupervisorSpec, path: &str, rows: &mut Vec<(String, ActorKind, Option<String>)>) {
    for child in &spec.children {
        let name = format!("{path}/{}", child.name());
        let inner = child.supervisor();
        let strategy = inner.map(|inner| inner.strategy.as_str().to_owned());
        let strategy = strategy.or_else(|| child.keyed().map(|_| "keyed".to_owned()));
        rows.push((name.clone(), child.kind(), strategy));
        if let Some(inner) = inner {
            table_below(inner, &name, rows);
        }
    }
}
