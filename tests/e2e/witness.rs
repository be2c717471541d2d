//! Somebody who looks at the processes of this machine all the time, and believes nobody.
#![allow(clippy::disallowed_methods)] // A thread without tokio: it must look also while a test blocks.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// A container lives for longer than this, and two of one slot at once would too.
const EVERY: Duration = Duration::from_millis(15);

/// Sees to it that no slot ever has two live containers.
pub struct Witness {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<BTreeSet<String>>>,
}

/// The words by which the processes of a slot are known. A test is a process of its own.
pub fn mark(deployment: &str, service: &str) -> String {
    format!("slot={deployment}.{service}@{}", std::process::id())
}

impl Witness {
    pub fn new() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = ends.clone();
        let thread = std::thread::spawn(move || {
            let mut twins = BTreeSet::new();
            loop {
                // Asked before it looks: what is there at the end is looked at, too.
                let is_last = ended.load(Ordering::Relaxed);
                let slots = live();
                twins.extend(slots.into_iter().filter(|(_, pids)| pids.len() > 1).map(|(slot, _)| slot));
                if is_last {
                    return twins;
                }
                sleep(EVERY);
            }
        });
        Self { ends, thread: Some(thread) }
    }

    /// Ends its watch: no slot had two.
    pub fn never_saw_two(mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let twins = self.thread.take().unwrap().join().unwrap();
        assert_eq!(twins, BTreeSet::new(), "had two live containers at once");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// The first processes of this test's containers, by slot: the children of a conmon.
pub fn live() -> BTreeMap<String, Vec<u32>> {
    let end = format!("@{}", std::process::id());
    let mut slots = BTreeMap::<String, Vec<u32>>::new();
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for pid in pids {
        if let Some(slot) = slot_of(pid, &end).filter(|_| parent_is_conmon(pid)) {
            slots.entry(slot).or_default().push(pid);
        }
    }
    slots
}

fn slot_of(pid: u32, end: &str) -> Option<String> {
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&command);
    let (_, rest) = text.split_once("slot=")?;
    let (slot, _) = rest.split_once(end)?;
    Some(slot.to_owned())
}

fn parent_is_conmon(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, after)) = stat.rsplit_once(')') else { return false };
    let mut fields = after.split_whitespace();
    let (state, parent) = (fields.next(), fields.next().unwrap_or_default());
    let is_conmon =
        || fs::read_to_string(format!("/proc/{parent}/comm")).is_ok_and(|comm| comm.trim() == "conmon");
    !matches!(state, Some("Z" | "X") | None) && is_conmon()
}

/// A variable in the environment of a live process.
pub fn variable(pid: u32, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split('\0').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}
