//! Hours of everything at once. When the faults stop, exactly what is wanted runs.
//!
//! `FLEET_CHAOS_SEED=n` repeats one run, `FLEET_CHAOS_RUNS=n` makes so many with seeds of their own.
//! A failure prints its seed and its steps. (Two runs of one seed may differ where threads of the disk
//! race.)
use crate::documents::document;
use crate::harness::{Story, seconds};
use fastrand::Rng;
use fleet_agent::bus::ErrorKind as BusError;
use fleet_agent::bus::fake::Call;
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::{Op, Program, Registry};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const STEPS: usize = 250;
/// Faults that wait for a call, and a restart that waits five minutes ± 20 %, twice.
const SETTLED_WITHIN: Duration = Duration::from_secs(1800);
const NAMES: [&str; 4] = ["one", "two", "three", "four"];
const IMAGES: [&str; 7] = ["demo:1", "demo:2", "demo:3", "deaf:1", "slow:1", "pulled:1", "broken:1"];
const OPS: [Op; 14] = [
    Op::List,
    Op::Look,
    Op::Holder,
    Op::Create,
    Op::PutFiles,
    Op::Start,
    Op::Signal,
    Op::Rename,
    Op::Remove,
    Op::RemoveOrphan,
    Op::EnsureNetwork,
    Op::RemoveNetwork,
    Op::Pull,
    Op::Hints,
];
const ACTORS: [&str; 12] = [
    "ownership",
    "runtime",
    "effects",
    "observer",
    "reconcilers",
    "one",
    "deployments",
    "link",
    "kv_watcher",
    "reporter",
    "heartbeat",
    "command_server",
];

struct Chaos {
    story: Story,
    rng: Rng,
    /// Deployment → revision and services; None: deleted.
    wanted: BTreeMap<&'static str, Option<(u64, Vec<Value>)>>,
    /// What the secret is that some services use.
    secret: String,
}

impl Chaos {
    async fn begin(seed: u64) -> Self {
        let story = Story::begin().await;
        story.runtime.add_image_with("deaf:1", Program::deaf());
        story.runtime.add_image_with("slow:1", Program::deaf().on("SIGTERM", seconds(12), 0));
        story.runtime.add_image_with("broken:1", Program::exits(seconds(3), 1));
        story.runtime.registry("pulled:1", Registry::has_slowly(Program::polite(), 5, seconds(4)));
        story.apply_and_run("calm", document(json!([{"name": "a", "image": "demo:1"}]))).await;
        story.vault.put("s", "first");
        Self { story, rng: Rng::with_seed(seed), wanted: BTreeMap::new(), secret: "first".into() }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    fn services(&mut self, images: &[&str]) -> Vec<Value> {
        let names = &["a", "b", "c"][..self.rng.usize(1..=3)];
        let service = |chaos: &mut Self, name: &&str| {
            let mut service = json!({"name": name, "image": chaos.pick(images)});
            if chaos.rng.u8(..3) == 0 {
                let content = chaos.rng.u8(..3).to_string();
                service["files"] = json!([{"path": "/etc/a", "content": content}]);
            }
            if chaos.rng.u8(..3) == 0 {
                service["secrets"] = json!([{"name": "s", "env": "S", "reload": true}]);
            }
            service
        };
        names.iter().map(|name| service(self, name)).collect()
    }

    fn put(&mut self, name: &'static str, services: Vec<Value>) {
        let revision = self.story.apply(name, document(Value::from(services.clone())));
        self.wanted.insert(name, Some((revision, services)));
    }

    /// One container of those that may be hurt.
    fn victim(&mut self) -> Option<String> {
        let all = self.story.runtime.containers();
        let names: Vec<String> =
            all.into_iter().map(|c| c.name).filter(|name| !name.starts_with("fleet-calm")).collect();
        (!names.is_empty()).then(|| names[self.rng.usize(..names.len())].clone())
    }

    /// What an operator does.
    fn operate(&mut self) -> String {
        let name = self.pick(&NAMES);
        match self.rng.u8(..5) {
            4 => {
                self.secret = self.rng.u8(..3).to_string();
                self.story.vault.put("s", &self.secret);
                format!("the secret is {}", self.secret)
            }
            0 => {
                self.story.delete(name);
                self.wanted.insert(name, None);
                format!("delete {name}")
            }
            1 => match self.wanted.get(name).cloned().flatten() {
                Some((_, services)) => {
                    self.put(name, services);
                    format!("the same again for {name}")
                }
                None => "nothing".into(),
            },
            _ => {
                let services = self.services(&IMAGES);
                let said = format!("apply {name}: {}", Value::from(services.clone()));
                self.put(name, services);
                said
            }
        }
    }

    /// What happens to containers.
    fn hurt(&mut self) -> String {
        let Some(victim) = self.victim() else { return "nothing".into() };
        let runtime = &self.story.runtime;
        match self.rng.u8(..4) {
            0 => runtime.kill(&victim),
            1 => runtime.exit(&victim, 0),
            2 => runtime.kill_with_conmon(&victim),
            _ => runtime.user_removes(&victim),
        }
        format!("hurt {victim}")
    }

    fn break_runtime(&mut self) -> String {
        let op = self.pick(&OPS);
        let kind =
            self.pick(&[ErrorKind::Unreachable, ErrorKind::Timeout, ErrorKind::Refused, ErrorKind::DiskFull]);
        let runtime = &self.story.runtime;
        match self.rng.u8(..7) {
            0 => runtime.down(),
            1 | 2 => runtime.fail_next(op, kind, "chaos"),
            3 => runtime.lose_answer(op, kind),
            4 => runtime.delay_next(op, seconds(self.rng.u64(..100))),
            5 => runtime.orphan_next_create(),
            _ => runtime.hang(op),
        }
        format!("break the runtime: {op:?} {kind:?}")
    }

    fn break_link(&mut self) -> String {
        let bus = &self.story.bus;
        let calls = [Call::Put, Call::Follow, Call::Snapshot, Call::Delete, Call::Publish, Call::Serve];
        let call = calls[self.rng.usize(..calls.len())];
        match self.rng.u8(..6) {
            0 => bus.disconnect(),
            1 => bus.kill_watches(),
            2 => bus.mute_watches(),
            3 => bus.lose_next_answer(call),
            _ => bus.fail_next(call, BusError::Timeout),
        }
        format!("break the link: {call:?}")
    }

    /// Everything that lasts ends. Faults that wait for a call still come.
    fn mend(&self) {
        OPS.iter().for_each(|op| self.story.runtime.release(*op));
        self.story.runtime.up();
        self.story.disk.is_full(false);
        self.story.bus.disconnect();
        self.story.bus.connect();
    }

    async fn break_agent(&mut self) -> String {
        match self.rng.u8(..6) {
            0 => {
                self.story.crash().await;
                self.story.boot().await;
                "crash".into()
            }
            1 => {
                self.story.disk.is_full(true);
                "the disk is full".into()
            }
            _ => {
                let name = self.pick(&ACTORS);
                // One that may be down anyway, or not be there at all.
                let restart = self.story.root().board();
                let _ = tokio::time::timeout(seconds(5), restart.restart(name)).await;
                format!("restart {name}")
            }
        }
    }

    async fn step(&mut self) -> String {
        match self.rng.u8(..20) {
            0..=5 => self.operate(),
            6..=8 => self.hurt(),
            9..=11 => self.break_runtime(),
            12..=13 => self.break_link(),
            14..=16 => self.break_agent().await,
            _ => {
                self.mend();
                "mend".into()
            }
        }
    }

    async fn rest(&mut self) {
        let longest = self.pick(&[20, 500, 5_000, 120_000]);
        self.story.pass(Duration::from_millis(self.rng.u64(..longest))).await;
    }

    /// Whether exactly what is wanted runs, and is told so.
    fn is_settled(&self, story: &Story) -> bool {
        let mut containers = vec!["fleet-calm.a".to_owned()];
        for (name, wanted) in &self.wanted {
            let Some((revision, services)) = wanted else {
                if story.state(name).is_some() {
                    return false;
                }
                continue;
            };
            if !story.is_running(name, *revision) {
                return false;
            }
            let service = |service: &Value| format!("fleet-{name}.{}", service["name"].as_str().unwrap());
            if !services.iter().all(|wanted| self.has_its_values(&service(wanted), wanted)) {
                return false;
            }
            containers.extend(services.iter().map(service));
        }
        containers.sort();
        let all: Vec<String> = story.runtime.containers().into_iter().map(|c| c.name).collect();
        all == containers && story.live() == containers
    }

    fn has_its_values(&self, container: &str, service: &Value) -> bool {
        let Some(container) = self.story.runtime.container(container) else { return false };
        let file = container.files.first().map(|file| file.content.reveal().to_vec());
        let wanted = service["files"][0]["content"].as_str().map(|text| text.as_bytes().to_vec());
        let variable = container.hidden_env.get("S").map(|value| value.reveal().to_vec());
        let secret = service.get("secrets").map(|_| self.secret.as_bytes().to_vec());
        file == wanted && variable == secret
    }

    async fn run(mut self) {
        let calm = self.story.runtime.pid("fleet-calm.a");
        for n in 0..STEPS {
            let done = self.step().await;
            eprintln!("{n:4} {done}");
            self.rest().await;
            assert_eq!(self.story.runtime.violations(), Vec::<String>::new());
            assert_eq!(self.story.runtime.pid("fleet-calm.a"), calm, "nothing of this is about that one");
        }
        self.mend();
        for name in NAMES {
            if self.wanted.get(name).is_some_and(Option::is_some) {
                let services = self.services(&IMAGES[..6]);
                self.put(name, services);
            }
        }
        eprintln!("     the faults end: {:?}", self.wanted);
        self.story
            .within(SETTLED_WITHIN, "exactly what is wanted runs", |story| self.is_settled(story))
            .await;
        // Calls that were given up may still happen.
        self.story.pass(seconds(120)).await;
        self.story.runtime.clear_journal();
        self.story.pass(seconds(600)).await;
        assert_eq!(self.story.runtime.journal(), Vec::<String>::new(), "and it stays so");
    }
}

async fn chaos(seed: u64) {
    eprintln!("FLEET_CHAOS_SEED={seed}");
    // The agent's own dice.
    fastrand::seed(seed);
    Chaos::begin(seed).await.run().await;
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[tokio::test(start_paused = true)]
async fn when_the_faults_stop_exactly_what_is_wanted_runs() {
    if let Some(seed) = number("FLEET_CHAOS_SEED") {
        return chaos(seed).await;
    }
    let mut seeds: Vec<u64> = (1..=6).collect();
    seeds.extend((0..number("FLEET_CHAOS_RUNS").unwrap_or(0)).map(|_| fastrand::u64(..)));
    for seed in seeds {
        chaos(seed).await;
    }
}
