//! What a process costs, as the kernel counts it.
use std::fs;
use std::time::Duration;

/// proc(5): times of `stat` are in ticks of 1/100 s.
const TICK: Duration = Duration::from_millis(10);

/// What a process used up so far.
#[derive(Clone, Copy)]
pub struct Costs {
    /// With what those children used that it waited for: podman's helpers.
    pub processor: Duration,
    /// Of the threads that live now: each is a wakeup.
    pub switches: u64,
}

impl Costs {
    pub fn of(pid: u32) -> Self {
        Self { processor: own_time(pid) + childrens_time(pid), switches: switches(pid) }
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            processor: self.processor - before.processor,
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

/// Of all its threads, also those that have ended, to the nanosecond: an idle agent uses less than the ticks
/// of `stat` can tell.
#[allow(unsafe_code)] // No safe binding has the clock of another process.
fn own_time(pid: u32) -> Duration {
    let pid = libc::pid_t::try_from(pid).unwrap();
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls only write into the variable that they are given.
    let answers = unsafe {
        [libc::clock_getcpuclockid(pid, &raw mut clock), libc::clock_gettime(clock, &raw mut time)]
    };
    assert_eq!(answers, [0, 0], "the processor time of process {pid}");
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn childrens_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u32 = fields[13..15].iter().map(|field| field.parse::<u32>().unwrap()).sum();
    TICK * ticks
}

fn switches(pid: u32) -> u64 {
    let of_task = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        field(&status, "voluntary_ctxt_switches:")
    };
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().filter_map(|task| of_task(task.ok()?)).sum()
}

pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

/// In kB; pages that others map too count by their share.
pub fn pss(pid: u32) -> u64 {
    field(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap(), "Pss:").unwrap()
}

/// In kB.
pub fn rss(pid: u32) -> u64 {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap(), "VmRSS:").unwrap()
}

fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().trim_end_matches(" kB").parse().ok()
}
