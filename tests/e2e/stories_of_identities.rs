//! Two devices that were given one id.
use crate::agent::{Agent, Log, command};
use crate::device::{Device, Lives};
use crate::documents::{deployment, steady};
use crate::observe;
use crate::podman_world::PodmanWorld;
use serde_json::{Value, json};

/// Another device, with a podman and a state directory of its own, and the configuration of the first.
struct Clone {
    _agent: Agent,
    world: PodmanWorld,
}

impl Clone {
    fn of(device: &Device) -> Self {
        let world = PodmanWorld::new();
        let config = std::fs::read_to_string(device.config()).unwrap();
        let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
        let config = config
            .replace(&path(device.state_dir()), &path(world.path("state")))
            .replace(&path(device.world.socket()), &path(world.socket()));
        std::fs::write(world.path("config.toml"), config).unwrap();
        let log = Log(world.path("agent.log"));
        Self { _agent: Agent::start(command(&world.path("config.toml")), &log.0), world }
    }

    fn lives(&self) -> Lives {
        let all = observe::containers(&self.world).into_iter();
        all.map(|(name, seen)| (name, (seen.id, seen.life))).collect()
    }
}

fn says_so(beat: &Value) -> bool {
    beat["health"] == "degraded" && beat["reasons"] == json!(["duplicate-identity"])
}

#[tokio::test]
async fn two_agents_with_one_identity_both_say_so_and_go_on_until_one_is_gone() {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let own = device.heartbeat("it beats", |_| true).await["instance"].clone();
    let before = device.lives();
    let clone = Clone::of(&device);
    let runs = async || {
        let lives = clone.lives();
        if lives.values().any(|(_, life)| life.is_some()) { Ok(lives) } else { Err(format!("{lives:?}")) }
    };
    let there = device.eventually("the other runs the same", runs).await;
    device.heartbeat("the one says so", |beat| beat["instance"] == own && says_so(beat)).await;
    device.heartbeat("the other says so", |beat| beat["instance"] != own && says_so(beat)).await;
    device.several_ticks().await;
    assert_eq!((device.lives(), clone.lives()), (before.clone(), there));
    drop(clone);
    device.heartbeat("it is over", |beat| beat["instance"] == own && beat["health"] == "ok").await;
    assert_eq!(device.lives(), before);
}
