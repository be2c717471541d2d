//! An actor that does as it is told, and helpers to watch it.
use crate::supervision::*;
use fleet_contracts::commands::{Actor, ActorState};
use futures_util::future::BoxFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const HOUR: Duration = Duration::from_secs(3600);

/// A message is what to do.
type Does = Box<dyn FnOnce(&mut Context<Deed>) -> Result<(), Fault> + Send>;
pub struct Deed(pub Does);

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn count(&self, what: &str) -> usize {
        self.all().iter().filter(|line| *line == what).count()
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

type OnStart = Arc<dyn Fn(&mut Context<Deed>) -> Result<(), Fault> + Send + Sync>;
type OnStop = Arc<dyn Fn() -> Option<BoxFuture<'static, ()>> + Send + Sync>;

#[derive(Clone)]
pub struct Script {
    pub name: String,
    pub log: Log,
    pub on_start: OnStart,
    pub on_stop: OnStop,
    /// How long its thread is busy with dropping it.
    pub lingers: Duration,
}

impl Script {
    pub fn new(name: &str, log: &Log) -> Self {
        Self {
            name: name.into(),
            log: log.clone(),
            on_start: Arc::new(|_| Ok(())),
            on_stop: Arc::new(|| None),
            lingers: Duration::ZERO,
        }
    }

    pub fn on_start(
        mut self,
        f: impl Fn(&mut Context<Deed>) -> Result<(), Fault> + Send + Sync + 'static,
    ) -> Self {
        self.on_start = Arc::new(f);
        self
    }

    pub fn on_stop(mut self, f: impl Fn() -> Option<BoxFuture<'static, ()>> + Send + Sync + 'static) -> Self {
        self.on_stop = Arc::new(f);
        self
    }
}

/// Notes `up NAME`, `stop NAME` and, whichever way it ends, `gone NAME`.
pub struct Toy(Script);

impl Worker for Toy {
    type Msg = Deed;
    type Args = Script;

    fn start(script: Script, ctx: &mut Context<Deed>) -> Result<Self, Fault> {
        script.log.note(format!("try {}", script.name));
        (script.on_start)(ctx)?;
        script.log.note(format!("up {}", script.name));
        Ok(Self(script))
    }

    fn handle(&mut self, deed: Deed, ctx: &mut Context<Deed>) -> Result<(), Fault> {
        deed.0(ctx)
    }

    fn stop(&mut self, _ctx: &mut Context<Deed>) -> Option<BoxFuture<'static, ()>> {
        self.0.log.note(format!("stop {}", self.0.name));
        (self.0.on_stop)()
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        #[allow(clippy::disallowed_methods)] // A destructor that is slow is what is played here.
        std::thread::sleep(self.0.lingers);
        self.0.log.note(format!("gone {}", self.0.name));
    }
}

pub type Toys = Address<Deed>;

pub fn tell(to: &Toys, deed: impl FnOnce(&mut Context<Deed>) -> Result<(), Fault> + Send + 'static) -> bool {
    to.send(Deed(Box::new(deed)))
}

pub fn deed(deed: impl FnOnce(&mut Context<Deed>) -> Result<(), Fault> + Send + 'static) -> Deed {
    Deed(Box::new(deed))
}

pub fn crash(to: &Toys) -> bool {
    tell(to, |_| Err(Fault::new("broken")))
}

pub fn panics(to: &Toys) -> bool {
    tell(to, |_| panic!("at the disco"))
}

/// A root `t` of toys.
pub struct Tree {
    pub root: Root,
    pub board: Board,
    pub log: Log,
}

pub const PATIENT: Budget = Budget { max: 1000, within: HOUR };

pub fn spec(strategy: Strategy, budget: Budget, ending: Ending, children: Vec<ChildSpec>) -> SupervisorSpec {
    SupervisorSpec { name: "t", about: "", strategy, budget, ending, children }
}

pub fn toy(name: &str, log: &Log, at: &Toys) -> ChildSpec {
    worker::<Toy>(name, "", Script::new(name, log), at.clone())
}

pub fn scripted(script: Script, at: &Toys) -> ChildSpec {
    worker::<Toy>(script.name.clone(), "", script, at.clone())
}

pub async fn run(strategy: Strategy, budget: Budget, children: Vec<ChildSpec>, log: Log) -> Tree {
    run_spec(spec(strategy, budget, Ending::Escalate, children), log).await
}

pub async fn run_spec(spec: SupervisorSpec, log: Log) -> Tree {
    let root = run_root(spec).await;
    Tree { board: root.board(), root, log }
}

impl Tree {
    pub fn actor(&self, path: &str) -> Actor {
        let actors = self.board.actors();
        actors.into_iter().find(|actor| actor.name == path).unwrap_or_else(|| panic!("no {path}"))
    }

    pub async fn until_up(&self, path: &str, restarts: u64) {
        until(path, || {
            let actor = self.actor(path);
            actor.state == ActorState::Running && actor.restarts == restarts
        })
        .await;
    }

    pub async fn until_is(&self, path: &str, state: ActorState) {
        until(&format!("{path} {state:?}"), || self.actor(path).state == state).await;
    }
}

/// Waits for a predicate; the time that passes is the tokio clock's.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain for: {what}");
}

/// Lets everything happen that needs no time.
pub async fn calm() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    calm().await;
}

/// A script whose last work takes a second.
pub fn flushing(name: &str, log: &Log) -> Script {
    let (said, name_said) = (log.clone(), name.to_string());
    Script::new(name, log).on_stop(move || {
        let (said, name) = (said.clone(), name_said.clone());
        Some(Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            said.note(format!("flushed {name}"));
        }))
    })
}
