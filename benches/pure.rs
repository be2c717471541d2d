//! Parts that need no podman and no server.
#![allow(clippy::unwrap_used)] // A failed assumption ends the measurement.
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fleet_agent::domain::desired::Wanted;
use fleet_agent::domain::ledger::{Record, Trial, Wanted as Recorded};
use fleet_agent::domain::source::Incarnation;
use fleet_agent::store::LedgerStore;
use fleet_agent::store::disk::DiskLedger;
use fleet_contracts::Timestamp;
use fleet_contracts::device::Heartbeat;
use fleet_contracts::state::DeploymentState;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::hint::black_box;

/// Four services with what services have.
fn document() -> Vec<u8> {
    let service = |name: &str| {
        json!({"name": name, "image": "registry.example/shop/web:1.4", "command": ["serve", "--verbose"],
            "env": {"MODE": "prod", "LEVEL": "info"}, "volumes": ["data:/var/lib/web"], "labels": {"team": "edge"}})
    };
    let services: Vec<_> = ["web", "db", "cache", "worker"].map(service).into();
    json!({"type": "PodmanV0", "data": {"services": services}}).to_string().into_bytes()
}

fn heartbeat() -> serde_json::Value {
    json!({"device_id": "gateway-17", "at": "2026-01-01T00:00:00Z", "seq": 1234, "agent_version": "0.1.0",
        "instance": "0123456789abcdef", "role": "active", "uptime_s": 86400,
        "deployments": {"total": 50, "running": 49, "failed": 1}, "health": "degraded",
        "reasons": ["runtime-unreachable"], "last_crash": null, "clock_synced": true})
}

/// Of four services, as it is published when one of them was restarted.
fn state() -> serde_json::Value {
    let service = json!({"phase": "Running", "container_id": "c".repeat(64), "restarts": 2, "exit_code": null,
        "image_id": format!("sha256:{}", "1".repeat(64)), "started_at": "2026-01-01T00:00:00Z", "health": null});
    let names = ["web", "db", "cache", "worker"];
    let services: serde_json::Map<_, _> =
        names.map(|name| (name.to_owned(), service.clone())).into_iter().collect();
    json!({"device_id": "gateway-17", "deployment": "shop", "phase": "Running", "services": services,
        "last_event_at": "2026-01-01T00:00:00Z", "last_error": null, "observed_revision": 18,
        "container_ids": {"web": "c".repeat(64), "db": "d".repeat(64)}, "spec_digest": "d".repeat(64)})
}

fn reading(criterion: &mut Criterion) {
    let document = document();
    criterion.bench_function("read a document of four services", |bench| {
        bench.iter(|| Wanted::read(black_box(&document), 1).unwrap());
    });
}

fn codec(criterion: &mut Criterion) {
    codec_of::<Heartbeat>(criterion, "heartbeat", heartbeat());
    codec_of::<DeploymentState>(criterion, "state of a deployment", state());
}

fn codec_of<T: Serialize + DeserializeOwned>(
    criterion: &mut Criterion,
    what: &str,
    document: serde_json::Value,
) {
    let value: T = serde_json::from_value(document).unwrap();
    let (text, packed) = (serde_json::to_vec(&value).unwrap(), rmp_serde::to_vec_named(&value).unwrap());
    criterion.bench_function(&format!("{what} to JSON"), |bench| {
        bench.iter(|| serde_json::to_vec(black_box(&value)).unwrap());
    });
    criterion.bench_function(&format!("{what} from JSON"), |bench| {
        bench.iter(|| serde_json::from_slice::<T>(black_box(&text)).unwrap());
    });
    criterion.bench_function(&format!("{what} to MessagePack"), |bench| {
        bench.iter(|| rmp_serde::to_vec_named(black_box(&value)).unwrap());
    });
    criterion.bench_function(&format!("{what} from MessagePack"), |bench| {
        bench.iter(|| rmp_serde::from_slice::<T>(black_box(&packed)).unwrap());
    });
}

fn ledger(criterion: &mut Criterion) {
    // Not /tmp, which may be memory: a sync has to reach a disk.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ledger = DiskLedger::new(dir.path()).unwrap();
    let mut revision = 0;
    let mut record = move || {
        revision += 1;
        Record {
            name: "web".parse().unwrap(),
            revision,
            written_at: Timestamp::from_unix_seconds(1_800_000_000).unwrap(),
            incarnation: Incarnation("i".into()),
            wanted: Recorded::Present(document().into()),
            trial: Trial::default(),
            ends: Default::default(),
        }
    };
    criterion.bench_function("ledger write, synced to the disk", |bench| {
        bench.iter_batched(&mut record, |record| ledger.save(&record).unwrap(), BatchSize::PerIteration);
    });
}

fn planning(criterion: &mut Criterion) {
    use fleet_agent::domain::picture::Picture;
    use fleet_agent::domain::time::Moment;
    use std::sync::Arc;
    use std::time::Duration;
    let wanted = Arc::new(Wanted::read(&document(), 1).unwrap());
    let now = Moment::from_start(Duration::from_secs(1));
    criterion.bench_function("plan the steps of four services", |bench| {
        let mut picture = Picture::new("shop".parse().unwrap(), now);
        picture.want(wanted.clone());
        bench.iter(|| black_box(&picture).steps(now));
    });
}

criterion_group!(benches, reading, codec, ledger, planning);
criterion_main!(benches);
