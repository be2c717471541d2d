//! What the agent asks of podman and of the disk between a put and the start. Behind a proxy, and traced: no
//! times are taken from these runs.
use crate::Size;
use crate::agent::{Bench, script};
use crate::figures::Page;
use crate::pairs::gone;
use crate::podman_proxy::{Asked, PodmanProxy};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What the one before caused is over.
const SETTLE: Duration = Duration::from_secs(2);
/// One that is not allowed to trace says so at once, but to nobody.
const ATTACHED_WITHIN: Duration = Duration::from_secs(5);

pub async fn of_a_put(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("what a put takes of podman and of the disk, {} times …", size.efforts);
    let proxy = PodmanProxy::before(bench.world.socket(), bench.world.path("effort.sock"));
    bench.restart_behind(proxy.socket()).await;
    let (mut asked, mut synced) = (Vec::new(), Vec::new());
    for n in 0..size.efforts {
        let name = format!("effort{n}");
        sleep(SETTLE).await;
        let (trace, before) = (Trace::of(bench).await, proxy.asked_so_far());
        let put = Instant::now();
        bench.put(&name, bench.document(&name, &script())).await;
        bench.told(&name, 1).await;
        let requests = until_the_start(proxy.requests(before));
        requests.iter().for_each(|asked| tell(asked, put));
        asked.push(requests.iter().map(|asked| short(&asked.line)).collect::<Vec<_>>().join(", "));
        synced.extend(trace.and_then(Trace::end));
        gone(bench, &name).await;
    }
    page.fact("asked of podman from the put to the start", all_or_range(&asked));
    let synced = if synced.is_empty() { "not counted: no strace(1)".into() } else { all_or_range(&synced) };
    page.fact("synced to the disk from the put to the start", synced);
    let socket = bench.world.socket();
    bench.restart_behind(&socket).await;
}

fn until_the_start(mut requests: Vec<Asked>) -> Vec<Asked> {
    let start = requests.iter().position(|asked| asked.line.contains("/start ")).expect("it was started");
    requests.truncate(start + 1);
    requests
}

fn tell(asked: &Asked, put: Instant) {
    println!("    {:>7.1} ms  {}", (asked.at - put).as_secs_f64() * 1000.0, short(&asked.line));
}

/// `POST /v1.52/containers/create?name=x HTTP/1.1` as `POST containers/create`.
fn short(line: &str) -> String {
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let is_word = |part: &&str| !part.is_empty() && !part.starts_with('v') && part.len() < 64;
    format!("{method} {}", path.split('/').filter(is_word).collect::<Vec<_>>().join("/"))
}

/// The value that was found every time, or all that were.
fn all_or_range(found: &[String]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    found.iter().for_each(|value| {
        if !kinds.contains(&value.as_str()) {
            kinds.push(value)
        }
    });
    kinds.join("; or ")
}

/// strace(1), which counts what reaches the disk.
struct Trace {
    strace: Child,
    output: std::path::PathBuf,
}

impl Trace {
    /// None where it is not installed.
    async fn of(bench: &Bench) -> Option<Self> {
        let output = bench.world.path("trace");
        let _ = std::fs::remove_file(&output);
        let mut command = Command::new("strace");
        command.args(["--follow-forks", "--trace=fsync,fdatasync,sync_file_range,syncfs", "--output"]);
        command.arg(&output).arg(format!("--attach={}", bench.pid()));
        let strace = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let trace = Self { strace, output };
        trace.wait_until_attached(bench.pid()).await.then_some(trace)
    }

    async fn wait_until_attached(&self, pid: u32) -> bool {
        let end = Instant::now() + ATTACHED_WITHIN;
        let is_traced = |status: &str| {
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            tracer.is_some_and(|tracer| tracer.trim() != "0")
        };
        while Instant::now() < end {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            let mut statuses = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")));
            if statuses.all(|status| status.is_ok_and(|status| is_traced(&status))) {
                return true;
            }
            sleep(Duration::from_millis(1)).await;
        }
        false
    }

    /// `2 × fsync`.
    fn end(mut self) -> Option<String> {
        let pid = self.strace.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().ok()?;
        self.strace.wait().ok()?;
        let text = std::fs::read_to_string(&self.output).ok()?;
        let calls = ["fsync", "fdatasync", "sync_file_range", "syncfs"];
        let count = |call: &str| text.lines().filter(|line| line.contains(&format!(" {call}("))).count();
        let found =
            calls.iter().filter(|call| count(call) > 0).map(|call| format!("{} × {call}", count(call)));
        Some(found.collect::<Vec<_>>().join(", "))
    }
}
