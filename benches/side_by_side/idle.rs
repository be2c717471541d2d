//! What the agent costs while nothing happens, and how long a new one takes to adopt what runs.
use crate::Size;
use crate::agent::{Bench, script};
use crate::costs::{self, Costs};
use crate::figures::{Page, Sample, share};
use crate::podman_proxy::PodmanProxy;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// After a change the agent looks, tells and is quiet again; threads that only wait for work have ended.
const SETTLE: Duration = Duration::from_secs(15);
/// Of the idle time: with 120 s, 360 s. The desired state is read as a whole every 300 s ± 20 %: once in that time,
/// never twice, and it is part of what idling costs.
const WITH_A_SNAPSHOT: u32 = 3;
/// Of the default settings.
const TICK: Duration = Duration::from_secs(30);

/// What podman's service uses up when nobody asks it for anything.
pub async fn podman_alone(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("podman alone for {:?} …", size.idle);
    bench.stop();
    sleep(SETTLE.min(size.idle)).await;
    let before = Costs::of(bench.world.service_pid());
    sleep(size.idle).await;
    let used = Costs::of(bench.world.service_pid()).since(before);
    page.fact("podman's processor time without an agent", share(used.processor, size.idle));
    bench.start();
}

pub async fn with(bench: &mut Bench, deployments: usize, size: &Size, page: &mut Page) {
    let time = size.idle * WITH_A_SNAPSHOT;
    println!("idle with {deployments} deployments for {time:?} …");
    let proxy =
        PodmanProxy::before(bench.world.socket(), bench.world.path(&format!("idle{deployments}.sock")));
    bench.restart_behind(proxy.socket()).await;
    for n in 0..deployments {
        let name = format!("idle{n}");
        bench.put(&name, bench.document(&name, &script())).await;
    }
    bench.until("all run", async |b| b.running().await == deployments as u64).await;
    sleep(SETTLE.min(size.idle)).await;
    let before = Reading::of(bench, &proxy);
    sleep(time).await;
    let after = Reading::of(bench, &proxy);
    tell(page, &format!("idle with {deployments}"), bench.pid(), &before, &after, time);
    let socket = bench.world.socket();
    bench.restart_behind(&socket).await;
}

struct Reading {
    agent: Costs,
    podman: Costs,
    /// Bytes of its connections.
    wire: u64,
    /// Bytes of messages, as the server counts them.
    messages: u64,
    /// Paths that podman was asked for.
    asked: Vec<String>,
}

impl Reading {
    fn of(bench: &Bench, proxy: &PodmanProxy) -> Self {
        Self {
            agent: Costs::of(bench.pid()),
            podman: Costs::of(bench.world.service_pid()),
            wire: wire(bench.pid()),
            messages: messages(bench),
            asked: proxy.requests(0).into_iter().map(|asked| asked.line).collect(),
        }
    }
}

fn tell(page: &mut Page, of: &str, pid: u32, before: &Reading, after: &Reading, time: Duration) {
    let pss = costs::pss(pid);
    page.row(&format!("{of}: PSS"), format!("{pss} kB"), "", "at most 10 240 kB", pss <= 10_240);
    page.fact(&format!("{of}: RSS"), format!("{} kB", costs::rss(pid)));
    page.fact(&format!("{of}: threads"), costs::threads(pid).to_string());
    let (agent, podman) = (after.agent.since(before.agent), after.podman.since(before.podman));
    let is_reached = agent.processor.as_secs_f64() <= time.as_secs_f64() * 0.001;
    page.row(&format!("{of}: processor"), share(agent.processor, time), "", "at most 0.1 %", is_reached);
    page.fact(&format!("{of}: podman's processor"), share(podman.processor, time));
    let minutes = time.as_secs_f64() / 60.0;
    page.fact(&format!("{of}: wakeups"), format!("{:.0} a minute", agent.switches as f64 / minutes));
    lists(page, of, &after.asked[before.asked.len()..], time);
    let hourly = |bytes: u64| bytes as f64 * 3600.0 / time.as_secs_f64() / 1024.0;
    let (wire, messages) = (hourly(after.wire - before.wire), hourly(after.messages - before.messages));
    let scaled = format!(
        "{wire:.0} KiB an hour, {messages:.0} KiB of them messages (scaled from {} s)",
        time.as_secs()
    );
    page.fact(&format!("{of}: on the wire to and from NATS"), scaled);
}

fn lists(page: &mut Page, of: &str, asked: &[String], time: Duration) {
    let is_list = |line: &&String| line.contains("/containers/json");
    let (lists, ticks) = (asked.iter().filter(is_list).count(), time.as_secs_f64() / TICK.as_secs_f64());
    let others = asked.len() - lists;
    let value = format!("{lists} lists and {others} other requests in {ticks:.1} ticks");
    // One more where the time begins right before a tick.
    let is_reached = lists as f64 <= ticks.floor() + 1.0 && others == 0;
    page.row(&format!("{of}: asked of podman"), value, "", "one list per tick", is_reached);
}

/// The crowd that was left by the measurement before.
pub async fn adoption(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("adoption of {} deployments, {} times …", size.crowd, size.adoptions);
    let mut took = Sample::default();
    for _ in 0..size.adoptions {
        bench.stop();
        let begun = Instant::now();
        bench.start();
        bench.until("all are adopted", async |b| b.running().await == size.crowd as u64).await;
        took.push(begun.elapsed());
    }
    let what = format!("agent start to {} deployments adopted, as `status` answers", size.crowd);
    page.fact(&what, took.text());
}

/// Bytes of a process's TCP connections in both directions, as the kernel counts them: payload of TCP, so with
/// what the protocol of NATS adds, and its pings.
fn wire(pid: u32) -> u64 {
    let output = std::process::Command::new("ss").args(["-tinpH", "state", "established"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mine = format!("pid={pid},");
    let mut lines = text.lines().peekable();
    let mut bytes = 0;
    while let Some(line) = lines.next() {
        let Some(details) = lines.peek().filter(|_| line.contains(&mine)) else { continue };
        for key in ["bytes_sent:", "bytes_received:"] {
            let found =
                details.split_whitespace().find_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
            bytes += found.unwrap_or(0);
        }
    }
    assert!(bytes > 0, "ss(8) knows the agent's connection");
    bytes
}

/// Of all connections but the bench's own.
fn messages(bench: &Bench) -> u64 {
    let own = bench.client.server_info().client_id;
    let connections = bench.nats.monitoring("connz");
    let others = connections["connections"].as_array().unwrap().iter().filter(|c| c["cid"] != own);
    others.flat_map(|c| [&c["in_bytes"], &c["out_bytes"]]).filter_map(serde_json::Value::as_u64).sum()
}
