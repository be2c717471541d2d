//! A supervision tree as data.
use super::address::Address;
use super::budget::Budget;
use super::keyed::{Directory, Keyed, KeyedChildren};
use super::launch::{KILL_GRACE, Starter, supervisor_starter, worker_starter};
use super::supervisor::Rule;
use super::worker::Worker;
use fleet_contracts::commands::ActorKind;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// Enough to write a small file; a stop of the whole tree must stay within the service's stop timeout.
const STOP_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Only the one that crashed is restarted.
    OneForOne,
    /// The ones declared after it are stopped in reverse and started again too: they depend on it.
    RestForOne,
}

impl Strategy {
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::OneForOne => "one_for_one",
            Strategy::RestForOne => "rest_for_one",
        }
    }
}

/// What happens when the budget is exceeded. All children are stopped in order first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The supervisor fails, which is a crash in its parent's eyes; the root's failure ends the tree.
    Escalate,
    /// The children stay down for so long, then start again with a clean budget.
    Park(Duration),
}

#[derive(Clone)]
pub struct SupervisorSpec {
    pub name: &'static str,
    pub about: &'static str,
    pub strategy: Strategy,
    pub budget: Budget,
    pub ending: Ending,
    /// Started in this order, each after the one before is up; stopped in reverse.
    pub children: Vec<ChildSpec>,
}

/// A supervisor of one worker per key. A child over its own budget is parked until it is ensured again.
#[derive(Debug, Clone)]
pub struct KeyedSpec {
    pub name: &'static str,
    pub about: &'static str,
    /// Of each child.
    pub budget: Budget,
    /// Of each child; they are stopped at the same time.
    pub stop_within: Duration,
}

/// Told the last failure.
type OnParked = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Clone)]
pub struct ChildSpec {
    pub(super) name: String,
    pub(super) about: &'static str,
    pub(super) stop_within: Duration,
    pub(super) on_up: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(super) on_parked: Option<OnParked>,
    pub(super) starter: Starter,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Worker,
    Supervisor(Arc<SupervisorSpec>),
    Keyed(KeyedSpec),
}

impl ChildSpec {
    /// How long an ordered stop may take before the child is killed. Default: 5 s for a worker; what its
    /// children may take together for a supervisor.
    pub fn stop_within(mut self, budget: Duration) -> Self {
        self.stop_within = budget;
        self
    }

    /// Called by the supervisor after each successful start, the first one included. Must not block.
    pub fn on_up(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_up = Some(Arc::new(hook));
        self
    }

    /// Called by a keyed supervisor when the child is over its budget, with the last failure. Must not block.
    pub fn on_parked(mut self, hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_parked = Some(Arc::new(hook));
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn about(&self) -> &'static str {
        self.about
    }

    pub fn kind(&self) -> ActorKind {
        match self.kind {
            Kind::Worker => ActorKind::Worker,
            Kind::Supervisor(_) => ActorKind::Supervisor,
            Kind::Keyed(_) => ActorKind::Keyed,
        }
    }

    /// The declaration below, if this is a supervisor.
    pub fn supervisor(&self) -> Option<&SupervisorSpec> {
        match &self.kind {
            Kind::Supervisor(spec) => Some(spec),
            Kind::Worker | Kind::Keyed(_) => None,
        }
    }

    /// The declaration of a keyed supervisor, if this is one.
    pub fn keyed(&self) -> Option<&KeyedSpec> {
        match &self.kind {
            Kind::Keyed(spec) => Some(spec),
            Kind::Worker | Kind::Supervisor(_) => None,
        }
    }
}

/// A worker, started with a clone of `args` each time. `address` leads to whichever incarnation runs.
pub fn worker<W: Worker>(
    name: impl Into<String>,
    about: &'static str,
    args: W::Args,
    address: Address<W::Msg>,
) -> ChildSpec {
    ChildSpec {
        name: name.into(),
        about,
        stop_within: STOP_WITHIN,
        on_up: None,
        on_parked: None,
        starter: worker_starter::<W>(args, address),
        kind: Kind::Worker,
    }
}

pub fn supervisor(spec: SupervisorSpec) -> ChildSpec {
    let spec = Arc::new(spec);
    let children: Duration = spec.children.iter().map(|child| child.stop_within + 2 * KILL_GRACE).sum();
    ChildSpec {
        name: spec.name.into(),
        about: spec.about,
        stop_within: children + KILL_GRACE,
        on_up: None,
        on_parked: None,
        starter: supervisor_starter(Rule::Tree(spec.clone())),
        kind: Kind::Supervisor(spec),
    }
}

/// One `W` for each key in `directory`, started with what `args` makes of the key. A key is shown as the
/// last part of the child's path. `on_up` is called after each successful start of a child, `on_parked` when
/// one is over its budget, with its last failure.
pub fn keyed<K, W>(
    spec: KeyedSpec,
    directory: &Keyed<K, W::Msg>,
    args: impl Fn(&K) -> W::Args + Send + Sync + 'static,
    on_up: impl Fn(&K) + Send + Sync + 'static,
    on_parked: impl Fn(&K, &str) + Send + Sync + 'static,
) -> ChildSpec
where
    K: Ord + Clone + Display + Send + Sync + 'static,
    W: Worker,
{
    let about = spec.about;
    let stop_within = spec.stop_within;
    let (on_up, on_parked) = (Arc::new(on_up), Arc::new(on_parked));
    let describe = move |key: &K, address: Address<W::Msg>| {
        let (on_up, up) = (on_up.clone(), key.clone());
        let (on_parked, parked) = (on_parked.clone(), key.clone());
        worker::<W>(key.to_string(), about, args(key), address)
            .stop_within(stop_within)
            .on_up(move || on_up(&up))
            .on_parked(move |failure| on_parked(&parked, failure))
    };
    let children: Arc<dyn Directory> =
        Arc::new(KeyedChildren { keyed: directory.clone(), describe: Box::new(describe) });
    ChildSpec {
        name: spec.name.into(),
        about,
        stop_within: stop_within + 3 * KILL_GRACE,
        on_up: None,
        on_parked: None,
        starter: supervisor_starter(Rule::Keyed { budget: spec.budget, children }),
        kind: Kind::Keyed(spec),
    }
}
