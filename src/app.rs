//! From a configuration to a running agent: the concrete adapters, and the end.
use crate::actors::{Hold, Identity};
use crate::bus::nats::{NatsBus, NatsSettings};
use crate::bus::{Bus, BusError, LinkState};
use crate::config::Config;
use crate::domain::floor::Floor;
use crate::domain::ledger::Shunned;
use crate::runtime::ContainerRuntime;
use crate::runtime::podman::PodmanRuntime;
use crate::store::StoreError;
use crate::store::disk::DiskLedger;
use crate::store::lock::{LockError, StateLock};
use crate::supervision::Ended;
use crate::telemetry::LogFilter;
use crate::tree::{self, Parts};
use crate::vault::disk::DiskVault;
use crate::watchdog::breadcrumb::{self, Breadcrumb, LastCrash};
use crate::watchdog::ends::{self, Ends};
use crate::watchdog::suspects::Suspects;
use crate::watchdog::{self, Deeds, Limits, Vitals, last_words};
use crate::{heap, inventory, systemd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An ordered stop ends within this; systemd's own limit (`TimeoutStopSec=`) lies above it.
const STOP_WITHIN: Duration = Duration::from_secs(35);
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// In the state directory: there while images may be on their way to the disk.
const UNSYNCED: &str = "unsynced";
/// Enough for a slow link's TLS handshake and two retries.
const SELF_TEST_WITHIN: Duration = Duration::from_secs(20);

/// Why the daemon did not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error("cannot start the watchdog: {0}")]
    Watchdog(#[source] std::io::Error),
    #[error("the supervision tree gave up: {0}")]
    GaveUp(String),
}

/// A stop that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    BySigint,
    BySigterm,
}

/// Runs until a signal asks for the end, or the tree gives up. Containers run on in any case.
pub async fn run(config: Config, log: LogFilter) -> Result<Stopped, AppError> {
    // First: until then a signal ends the process by itself, whatever it was doing.
    let mut signals = Signals::new()?;
    let identity = identity(&config);
    let lock = Arc::new(StateLock::acquire(&config.agent.state_dir, &identity.instance)?);
    let ledger = Arc::new(DiskLedger::new(&config.agent.state_dir)?);
    let Identity { device, instance, .. } = &identity;
    tracing::info!(version = VERSION, %device, instance, epoch = lock.epoch(), "fleet-agent starts");
    let bus = Arc::new(bus(&config).await?);
    let state_dir = config.agent.state_dir.clone();
    // What the one before left is told once: not to a process that could not begin.
    let before = Before::of(&state_dir);
    let parts =
        parts(&config, identity, Doors { lock: lock.clone(), ledger, bus: bus.clone(), log }, &before);
    let vitals = watched(&state_dir)?;
    tokio::spawn(heap::give_back_regularly());
    let root = tree::run_watched(parts, |board| vitals.board(board)).await;
    vitals.root(root.clone());
    systemd::ready("running");
    let end = tokio::select! {
        asked = signals.next() => Ok(asked),
        ended = root.wait() => Err(ended),
    };
    vitals.stopping();
    systemd::stopping();
    let result = match end {
        Ok(asked) => {
            tracing::info!(?asked, "stopping in order; containers run on");
            root.stop(STOP_WITHIN).await;
            before.ends.forget();
            last_words::forget(&state_dir);
            Ok(asked)
        }
        Err(Ended::GaveUp(why)) => Err(gave_up(&state_dir, why)),
        Err(Ended::Stopped) => Err(gave_up(&state_dir, "the tree stopped without being asked".into())),
    };
    bus.close(CLOSE_WITHIN).await;
    drop(lock);
    result
}

/// What the processes before this one left.
struct Before {
    last_crash: Option<LastCrash>,
    ends: Ends,
    hold: Option<Hold>,
    shunned: Shunned,
}

impl Before {
    /// Reads it, and prepares for the end of this one.
    fn of(state_dir: &Path) -> Self {
        let (last_crash, ends) = (breadcrumb::collect(state_dir), Ends::of(state_dir));
        let wait = last_crash.as_ref().map_or(Duration::ZERO, |_| ends::hold(ends.count()));
        if !wait.is_zero() {
            tracing::error!(?wait, "the agent ended by itself again and again: it only looks for now");
        }
        let shunned = shunned(state_dir, last_crash.as_ref());
        // Only now: what the one before left is counted.
        if let Err(error) = last_words::prepare(state_dir) {
            tracing::warn!(%error, "the last words of the process before this one cannot be taken away");
        }
        let well = ends.clone();
        tokio::spawn(async move {
            tokio::time::sleep(ends::WELL_AFTER).await;
            well.forget();
        });
        Self { last_crash, ends, hold: Some(Hold(wait)).filter(|_| !wait.is_zero()), shunned }
    }
}

/// The documents that must not be read, with the one that the process before this one ended in, if it is one now.
fn shunned(state_dir: &Path, last_crash: Option<&LastCrash>) -> Shunned {
    let mut suspects = Suspects::of(state_dir, VERSION);
    if let Some(LastCrash { line, deployment: Some(name), reading: Some(document) }) = last_crash {
        tracing::error!(deployment = %name, %document, how = line, "reading its document ended the process before this one");
        suspects.count(name.clone(), document, line);
    }
    suspects.shunned()
}

fn watched(state_dir: &Path) -> Result<Vitals, AppError> {
    let vitals = Vitals::default();
    let state_dir = state_dir.to_owned();
    let keep_alive: Box<dyn FnMut() + Send> = Box::new(systemd::keep_alive);
    let deeds = Deeds {
        keep_alive: systemd::keep_alive_interval().map(|every| (every, keep_alive)),
        end: Box::new(move |hang| {
            let crumb = Breadcrumb::new(VERSION, format!("stuck: {hang}"));
            breadcrumb::end_process(&state_dir, crumb.blaming(watchdog::culprit()))
        }),
    };
    watchdog::start(vitals.clone(), Limits::default(), deeds).map_err(AppError::Watchdog)?;
    Ok(vitals)
}

fn gave_up(state_dir: &Path, why: String) -> AppError {
    if let Err(error) = Breadcrumb::new(VERSION, format!("gave up: {why}")).leave(state_dir) {
        tracing::warn!(%error, "the next process will not know why this one ended");
    }
    AppError::GaveUp(why)
}

/// What could fail to open, and did not.
struct Doors {
    lock: Arc<StateLock>,
    ledger: Arc<DiskLedger>,
    bus: Arc<NatsBus>,
    log: LogFilter,
}

fn parts(config: &Config, identity: Identity, doors: Doors, before: &Before) -> Parts {
    let agent = &config.agent;
    let runtime = agent.runtime_enabled.then(|| -> Arc<dyn ContainerRuntime> {
        let podman = PodmanRuntime::new(agent.device_id.clone(), config.runtime.socket.clone());
        Arc::new(podman.with_marker(agent.state_dir.join(UNSYNCED)))
    });
    Parts {
        identity,
        runtime,
        bus: doors.bus,
        vault: Arc::new(DiskVault::new(
            &config.runtime.secrets_dir,
            &config.runtime.registry_auth_dir,
            &agent.state_dir,
        )),
        floor: Floor(config.runtime.min_free_mb),
        store: doors.ledger,
        owner: doors.lock,
        inventory: inventory::read(&agent.state_dir),
        labels: config.labels.clone(),
        config_digest: config.digest(),
        reply_prefixes: config.nats.reply_prefixes.clone(),
        log: doors.log,
        heartbeat_every: agent.heartbeat,
        reconcile_every: agent.reconcile,
        clock_synced: inventory::clock_synced,
        last_crash: before.last_crash.clone(),
        shunned: before.shunned.clone(),
        hold: before.hold,
    }
}

fn identity(config: &Config) -> Identity {
    Identity {
        device: config.agent.device_id.clone(),
        agent_version: VERSION.to_owned(),
        instance: format!("{:016x}", fastrand::u64(..)),
    }
}

async fn bus(config: &Config) -> Result<NatsBus, BusError> {
    let nats = &config.nats;
    let client = nats.tls_client.as_ref();
    let settings = NatsSettings {
        urls: nats.urls.clone(),
        inbox_prefix: nats.inbox_prefix.clone(),
        device: config.agent.device_id.clone(),
        tls_ca: nats.tls_ca.clone(),
        tls_cert: client.map(|client| client.certificate.clone()),
        tls_key: client.map(|client| client.key.clone()),
    };
    NatsBus::new(settings, config.credentials.clone().build()).await
}

struct Signals {
    int: tokio::signal::unix::Signal,
    term: tokio::signal::unix::Signal,
    /// Heard and ignored: a terminal that goes away is no reason to stop (SIGPIPE is ignored by
    /// Rust's runtime).
    hup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, AppError> {
        let on = |kind| signal(kind).map_err(AppError::Signals);
        Ok(Self {
            int: on(SignalKind::interrupt())?,
            term: on(SignalKind::terminate())?,
            hup: on(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Stopped {
        loop {
            tokio::select! {
                _ = self.int.recv() => return Stopped::BySigint,
                _ = self.term.recv() => return Stopped::BySigterm,
                _ = self.hup.recv() => tracing::info!("SIGHUP ignored"),
            }
        }
    }
}

/// Reads the local state and connects with the real credentials; changes nothing. Err says what
/// failed.
pub async fn self_test(config: &Config) -> Result<(), String> {
    let state_dir = &config.agent.state_dir;
    if state_dir.exists() {
        let bad = DiskLedger::check(state_dir).map_err(|error| error.to_string())?;
        if !bad.is_empty() {
            return Err(format!("unreadable in {}: {}", state_dir.display(), bad.join(", ")));
        }
    }
    let bus = bus(config).await.map_err(|error| error.to_string())?;
    let mut link = bus.link();
    let connected = link.wait_for(|state| matches!(state, LinkState::Connected { .. }));
    let result = match tokio::time::timeout(SELF_TEST_WITHIN, connected).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err("the NATS client ended".to_owned()),
        Err(_) => Err(no_connection(config, &bus.link().borrow())),
    };
    bus.close(CLOSE_WITHIN).await;
    result
}

fn no_connection(config: &Config, state: &LinkState) -> String {
    let why = match state {
        LinkState::Connecting { last_error: Some(error), .. } => error.as_str(),
        LinkState::Connecting { last_error: None, .. } | LinkState::Connected { .. } => "no answer",
    };
    let (urls, limit) = (config.nats.urls.join(", "), SELF_TEST_WITHIN.as_secs());
    format!("no connection to NATS at {urls} within {limit} s: {why}")
}
