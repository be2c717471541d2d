//! `kill -9` of podman's service at random moments of creates, starts and removes: what it leaves behind
//! (names that only the storage knows, starts that can never be repeated, removes by half) is cleared away.
use crate::device::Device;
use crate::documents::{deployment, steady, with};
use crate::podman_proxy::PodmanProxy;
use crate::stories_of_podman::behind_a_proxy;
use serde_json::json;
use std::time::Duration;

/// What is asked of podman, and about how long it works at it on an idle machine, in milliseconds.
type Work = (&'static str, &'static str, u64);
const CREATE: Work = ("POST", "/containers/create", 15);
const START: Work = ("POST", "/start", 90);
const REMOVE: Work = ("DELETE", "/containers/", 40);

struct Kills {
    device: Device,
    proxy: PodmanProxy,
    rng: fastrand::Rng,
    seed: u64,
}

impl Kills {
    async fn begin() -> Self {
        let seed =
            std::env::var("FLEET_KILL_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
        eprintln!("FLEET_KILL_SEED={seed}");
        let (device, proxy) = behind_a_proxy().await;
        Self { device, proxy, rng: fastrand::Rng::with_seed(seed), seed }
    }

    /// The service dies at some moment of the next such work, and is back.
    async fn kill_service(&mut self, after: usize, (method, part, within_ms): Work) {
        self.proxy.asked(after, method, part).await;
        // Not a wait for something: the moment itself is what is random.
        tokio::time::sleep(Duration::from_micros(self.rng.u64(..within_ms * 1000))).await;
        self.device.world.restart_service();
    }

    async fn rounds(mut self, rounds: usize) {
        let calm = self.device.apply("calm", deployment(&[steady("a")])).await;
        let untouched = self.device.lives()["fleet-calm.a"].clone();
        for round in 0..rounds {
            let version = |n: usize| deployment(&[with(steady("a"), json!({"env": {"V": n.to_string()}}))]);
            for (n, work) in [CREATE, START, REMOVE, START].into_iter().enumerate() {
                let after = self.proxy.asked_so_far();
                let revision = self.device.put("web", version(n)).await;
                self.kill_service(after, work).await;
                self.device.running("web", revision).await;
                self.is_exactly(&["fleet-calm.a", "fleet-web.a"], round);
            }
            let after = self.proxy.asked_so_far();
            self.device.operator.delete("web").await;
            self.kill_service(after, REMOVE).await;
            self.device.seen("it is gone", |all| all.len() == 1).await;
            self.is_exactly(&["fleet-calm.a"], round);
        }
        self.device.running("calm", calm).await;
        assert_eq!(self.device.lives()["fleet-calm.a"], untouched, "seed {}", self.seed);
    }

    /// These live, each once, and no process of another is left.
    fn is_exactly(&self, names: &[&str], round: usize) {
        let (all, seed) = (self.device.containers(), self.seed);
        let found: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(found, names, "round {round}, seed {seed}\n{}", self.device.log.tail());
        let live: Vec<u64> = all.values().filter_map(|seen| Some(seen.life?.pid)).collect();
        assert_eq!(live.len(), names.len(), "round {round}, seed {seed}: {all:#?}");
        let programs = self.device.world.programs("trap 'exit 0' TERM; sleep 86400 & wait");
        assert_eq!(programs.len(), names.len(), "round {round}, seed {seed}: a process without a container");
    }
}

#[tokio::test]
async fn a_podman_killed_in_the_middle_of_anything_leaves_exactly_what_is_desired() {
    Kills::begin().await.rounds(2).await;
}

mod long {
    #[tokio::test]
    async fn a_podman_killed_in_the_middle_of_anything_many_times_leaves_exactly_what_is_desired() {
        super::Kills::begin().await.rounds(25).await;
    }
}
