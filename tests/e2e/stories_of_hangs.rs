//! Hangs of the real agent, and outages that are none.
mod long {
    use crate::device::Device;
    use crate::documents::{deployment, steady};
    use crate::tree::{Actors, actors_when, all_up, incarnation};
    use serde_json::Value;
    use std::time::Duration;
    use tokio::time::Instant;

    /// What a process that hangs may take to end.
    const HANDLER_WITHIN: Duration = Duration::from_secs(45);
    const WORKERS_WITHIN: Duration = Duration::from_secs(60);
    /// Others build and test on the same machine.
    const BUSY: Duration = Duration::from_secs(15);

    async fn device() -> Device {
        let device = Device::new().await;
        device.apply("web", deployment(&[steady("a"), steady("b")])).await;
        device.operator.ask_when_up("ping").await;
        device
    }

    /// The hanging process ends with 70 and a word; the next one tells it; containers did not notice.
    async fn ends(mut device: Device, begun: Instant, limit: Duration, reason: &str) {
        let lives = device.lives();
        let mut agent = device.agent.take().unwrap();
        let end = async || agent.end().ok_or_else(|| "it still runs".to_owned());
        let end = device.within(limit + BUSY, "it ends", end).await;
        assert!(begun.elapsed() < limit + BUSY);
        assert_eq!(end.code(), Some(70), "{}", device.log.tail());
        let left = std::fs::read_to_string(device.state_dir().join("last-crash")).unwrap();
        let left: Value = serde_json::from_str(&left).unwrap();
        assert_eq!(left["reason"], format!("stuck: {reason}"));
        assert_eq!(device.lives(), lives);
        let _ = std::fs::remove_dir_all(device.faults_dir());
        device.boot();
        let tells = |beat: &Value| beat["last_crash"].as_str().is_some_and(|told| told.contains(reason));
        device.heartbeat("the next process tells of it", tells).await;
        device.several_ticks().await;
        let still = device.lives();
        assert!(lives.iter().all(|(name, life)| still[name] == *life));
        device.apply("other", deployment(&[steady("c")])).await;
    }

    async fn a_handler_hangs(actor: &str, fault: &str) {
        let device = device().await;
        let point = format!("actor:{actor}");
        device.arm(&point, fault);
        device.happened(&point).await;
        let begun = Instant::now();
        let stuck = |all: &Actors| all[actor]["state"] == "stuck";
        let seen = actors_when(&device, "it is seen from afar", stuck).await;
        let doing = seen[actor]["doing"]["what"].as_str().unwrap();
        let message = doing.strip_prefix("handling ").unwrap();
        let reason = format!("{actor} does not end handling {message}");
        ends(device, begun, HANDLER_WITHIN, &reason).await;
    }

    #[tokio::test]
    async fn an_actor_that_spins_is_seen_from_afar_and_ends_the_process_with_70() {
        a_handler_hangs("fleet-agent/link/heartbeat", "spin").await;
    }

    #[tokio::test]
    async fn an_actor_that_blocks_is_seen_from_afar_and_ends_the_process_with_70() {
        a_handler_hangs("fleet-agent/runtime/observer", "block").await;
    }

    /// What runs in a lane is no handler.
    async fn lanes_block(lanes: usize, reason: &str) {
        let device = device().await;
        device.arm("before:Create", &format!("block {lanes}"));
        let begun = Instant::now();
        for lane in 0..lanes {
            device.put(&format!("new-{lane}"), deployment(&[steady("a")])).await;
        }
        device.happened("before:Create").await;
        ends(device, begun, WORKERS_WITHIN, reason).await;
    }

    #[tokio::test]
    async fn tasks_that_block_both_worker_threads_end_the_process_with_70() {
        lanes_block(2, "no worker thread runs any task").await;
    }

    #[tokio::test]
    async fn a_task_that_blocks_one_worker_thread_ends_the_process_with_70() {
        lanes_block(1, "a worker thread does not come back from a task").await;
    }

    #[tokio::test]
    async fn a_task_that_never_ends_is_seen_from_afar_and_only_its_actor_is_replaced() {
        let device = device().await;
        let before = actors_when(&device, "all are up", all_up).await;
        let lives = device.lives();
        let observer = "fleet-agent/runtime/observer";
        device.arm("task:listing containers", "fail");
        device.happened("task:listing containers").await;
        let waits = |all: &Actors| {
            let doing = &all[observer]["doing"];
            doing["what"] == "listing containers" && doing["for_ms"].as_u64() > Some(10_000)
        };
        actors_when(&device, "it is seen from afar", waits).await;
        let replaced = async || {
            let all = crate::tree::actors(&device).await;
            let told = all[observer]["last_error"]["cause"] == "unresponsive";
            if told && all_up(&all) { Ok(all) } else { Err(format!("{:#}", all[observer])) }
        };
        let after = device.within(Duration::from_secs(180), "it is replaced", replaced).await;
        for (name, was) in before.iter().filter(|(name, _)| *name != observer) {
            assert_eq!(incarnation(was), incarnation(&after[name]), "{name}");
        }
        device.apply("other", deployment(&[steady("c")])).await;
        let still = device.lives();
        assert!(lives.iter().all(|(name, life)| still[name] == *life));
    }

    #[tokio::test]
    async fn a_podman_and_a_server_that_hang_for_longer_than_any_patience_end_nothing() {
        let mut device = device().await;
        let before = actors_when(&device, "all are up", all_up).await;
        let (lives, pid) = (device.lives(), device.agent.as_ref().unwrap().pid());
        device.world.signal_service("STOP");
        device.nats.signal("STOP");
        // That time passes is what is tested: more than twice the watchdog's patience.
        tokio::time::sleep(Duration::from_secs(80)).await;
        let agent = device.agent.as_mut().unwrap();
        assert_eq!((agent.pid(), agent.end()), (pid, None), "{}", device.log.tail());
        device.nats.signal("CONT");
        device.world.signal_service("CONT");
        let after = actors_when(&device, "all are up again", all_up).await;
        for (name, was) in &before {
            assert_eq!(incarnation(was), incarnation(&after[name]), "{name}");
        }
        assert_eq!(device.lives(), lives);
        device.apply("other", deployment(&[steady("c")])).await;
    }
}
