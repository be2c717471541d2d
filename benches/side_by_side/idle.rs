//! What the agent costs while nothing happens, and how long a new one takes to adopt what runs.
use crate::Size;
use crate::agent::{Bench, script};
use crate::figures::Page;
use crate::figures::Sample;
use std::fs;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// proc(5): utime and stime are in ticks of 1/100 s.
const TICK_MS: f64 = 10.0;
/// After a change the agent looks, tells and is quiet again.
const SETTLE: Duration = Duration::from_secs(5);

pub async fn with(bench: &mut Bench, deployments: usize, size: &Size, page: &mut Page) {
    println!("idle with {deployments} deployments for {:?} …", size.idle);
    for n in 0..deployments {
        let name = format!("idle{n}");
        bench.put(&name, bench.document(&name, &script())).await;
    }
    bench.until("all run", async |b| b.running().await == deployments as u64).await;
    sleep(SETTLE).await;
    let podman = bench.world.service_pid();
    let (agent_before, podman_before) = (Costs::of(bench.pid()), Costs::of(podman));
    let wire_before = wire(bench).await;
    sleep(size.idle).await;
    let (agent, podman) =
        (Costs::of(bench.pid()).since(&agent_before), Costs::of(podman).since(&podman_before));
    let bytes = wire(bench).await - wire_before;
    let share = |ms: f64| ms / (size.idle.as_secs_f64() * 1000.0) * 100.0;
    let pss = pss_kb(bench.pid());
    let of = format!("idle with {deployments}");
    page.row(&format!("{of}: PSS"), format!("{pss} kB"), "", "at most 10 240 kB", pss <= 10_240);
    page.fact(&format!("{of}: threads"), threads(bench.pid()).to_string());
    let cpu = share(agent.cpu_ms);
    page.row(&format!("{of}: processor"), format!("{cpu:.3} % of a core"), "", "at most 0.1 %", cpu <= 0.1);
    page.fact(&format!("{of}: podman's processor"), format!("{:.2} % of a core", share(podman.cpu_ms)));
    let wakeups = agent.switches as f64 / size.idle.as_secs_f64();
    page.fact(&format!("{of}: wakeups"), format!("{wakeups:.1} a second"));
    let hourly = bytes as f64 * 3600.0 / size.idle.as_secs_f64() / 1024.0;
    let scaled = format!("{hourly:.0} KiB an hour (scaled from {} s)", size.idle.as_secs());
    page.fact(&format!("{of}: on the wire to and from NATS"), scaled);
}

/// The crowd that was left by the measurement before.
pub async fn adoption(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("adoption of {} deployments …", size.crowd);
    let mut took = Sample::default();
    for _ in 0..5 {
        bench.stop();
        let begun = Instant::now();
        bench.start();
        bench.until("all are adopted", async |b| b.running().await == size.crowd as u64).await;
        took.push(begun.elapsed());
    }
    let what = format!("agent start to {} deployments adopted, as `status` answers", size.crowd);
    page.fact(&what, format!("{:.0} ms", took.median()));
}

struct Costs {
    cpu_ms: f64,
    switches: u64,
}

impl Costs {
    fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // utime, stime, and those of children that were waited for: podman's helpers.
        let ticks: u64 = fields[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let switches = tasks.filter_map(|task| {
            let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            status
                .lines()
                .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok())
        });
        Self { cpu_ms: ticks as f64 * TICK_MS, switches: switches.sum() }
    }

    fn since(&self, before: &Self) -> Self {
        Self { cpu_ms: self.cpu_ms - before.cpu_ms, switches: self.switches.saturating_sub(before.switches) }
    }
}

fn pss_kb(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

/// Bytes of the agent's connection in both directions, as the kernel counts them: payload of TCP.
async fn wire(bench: &Bench) -> u64 {
    let output = std::process::Command::new("ss").args(["-tinpH", "state", "established"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mine = format!("pid={},", bench.pid());
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
    bytes
}
