//! One actor at a time, its neighbours played by probes.
use super::*;
use crate::domain::spec::CreateSpec;
use crate::messages::effects::Operation;
use crate::messages::reconcilers::Reconciler;
use crate::runtime::fake::FakeRuntime;
use crate::supervision::{
    Address, Budget, ChildSpec, Ending, Fault, Keyed, KeyedSpec, Root, Strategy, SupervisorSpec, Worker,
    keyed, run_root, worker,
};
use fleet_contracts::DeploymentName;
use fleet_contracts::names::label;
use std::collections::BTreeMap;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub fn device() -> DeviceId {
    "d1".parse().unwrap()
}

pub fn web() -> DeploymentName {
    "web".parse().unwrap()
}

pub fn identity() -> Identity {
    Identity { device: device(), agent_version: "0".into(), instance: "i".into() }
}

pub fn document(image: &str) -> Vec<u8> {
    format!(r#"{{"type": "PodmanV0", "data": {{"services": [{{"name": "a", "image": "{image}"}}]}}}}"#)
        .into_bytes()
}

/// A container of deployment `web` on the fake, running.
pub async fn running(runtime: &FakeRuntime, name: &str) {
    use crate::runtime::ContainerRuntime;
    let id = runtime.create(name, &spec()).await.unwrap();
    runtime.start(&id).await.unwrap();
}

pub fn spec() -> CreateSpec {
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

pub fn pull(image: &str) -> Operation {
    Operation::Pull { image: image.into(), registry_auth: None }
}

/// Stands where an actor should be, and passes on what it hears.
pub struct Probe<M>(UnboundedSender<M>);

impl<M: Send + 'static> Worker for Probe<M> {
    type Msg = M;
    type Args = UnboundedSender<M>;

    fn start(heard: UnboundedSender<M>, _: &mut Context<M>) -> Result<Self, Fault> {
        Ok(Self(heard))
    }

    fn handle(&mut self, msg: M, _: &mut Context<M>) -> Result<(), Fault> {
        let _ = self.0.send(msg);
        Ok(())
    }
}

/// What a probe heard.
pub struct Heard<M>(UnboundedReceiver<M>);

impl<M> Heard<M> {
    /// The next message that answers the question with Some; those before it are dropped.
    pub async fn next<T>(&mut self, what: impl Fn(M) -> Option<T>) -> T {
        let patience = Duration::from_secs(600);
        self.next_within(patience, what).await.expect("it says so within ten minutes")
    }

    /// The same, if it comes by then.
    pub async fn next_within<T>(&mut self, limit: Duration, what: impl Fn(M) -> Option<T>) -> Option<T> {
        let next = async {
            loop {
                let message = self.0.recv().await.expect("the probe runs");
                if let Some(found) = what(message) {
                    return found;
                }
            }
        };
        tokio::time::timeout(limit, next).await.ok()
    }

    /// Everything that was said by now.
    pub fn all(&mut self) -> Vec<M> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// A probe at this address.
pub fn probe<M: Send + 'static>(name: &str, address: &Address<M>) -> (ChildSpec, Heard<M>) {
    let (sender, receiver) = unbounded_channel();
    (worker::<Probe<M>>(name, "", sender, address.clone()), Heard(receiver))
}

/// Probes in the place of every reconciler.
pub fn reconcilers(directory: &Keyed<DeploymentName, Reconciler>) -> (ChildSpec, Heard<Reconciler>) {
    let (sender, receiver) = unbounded_channel();
    let budget = Budget { max: 5, within: Duration::from_secs(600) };
    let spec = KeyedSpec { name: "reconcilers", about: "", budget, stop_within: Duration::from_secs(1) };
    let child = keyed::<_, Probe<Reconciler>>(spec, directory, move |_| sender.clone(), |_| (), |_, _| ());
    (child, Heard(receiver))
}

pub async fn run(children: Vec<ChildSpec>) -> Root {
    let budget = Budget { max: 50, within: Duration::from_secs(300) };
    run_root(SupervisorSpec {
        name: "test",
        about: "",
        strategy: Strategy::OneForOne,
        budget,
        ending: Ending::Escalate,
        children,
    })
    .await
}

/// Time for everything that happens at once.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

pub async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
