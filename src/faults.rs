//! Places where a test makes this process fail, at exactly that point. A release build has none of it.
//!
//! With `FLEET_AGENT_FAULTS=DIR` in the environment of a debug build, a process that comes by the point
//! `actor` of `fleet-agent/link/heartbeat` looks for the file `DIR/actor:fleet-agent-link-heartbeat`. Its
//! text is what happens and how often (`panic`, `kill 3`, `fail always`); when the last time is used up, the
//! file is renamed to `….done` *before* it happens, so that the next process does not meet it again.
//!
//! | word | what happens |
//! |---|---|
//! | `panic` | a panic, as a bug would raise it |
//! | `kill` | SIGKILL to the own process: nothing more is run, as in a power cut or by the OOM killer |
//! | `abort` | SIGABRT: what a double panic or a failed allocation does |
//! | `spin` | this thread never comes back, busy |
//! | `block` | this thread never comes back, waiting |
//! | `fail` | [`hits`] answers true: for points that stand for a failing call |
//!
//! Points are for what no test can bring about from outside; everything else is done to real files, sockets
//! and processes.
#[cfg(debug_assertions)]
use std::path::{Path, PathBuf};

/// Where the faults are, for the process that a test starts.
pub const VARIABLE: &str = "FLEET_AGENT_FAULTS";

/// Fails here if a test asked for it. `kind` is the sort of place, `at` which one of them.
pub fn point(kind: &str, at: &str) {
    let _ = hits(kind, at);
}

/// The same; true: the call that stands here must fail.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hits(_kind: &str, _at: &str) -> bool {
    false
}

/// The same; true: the call that stands here must fail.
#[cfg(debug_assertions)]
pub fn hits(kind: &str, at: &str) -> bool {
    let Some(directory) = directory() else { return false };
    let file = directory.join(format!("{kind}:{}", at.replace('/', "-")));
    let Some(word) = claim(&file) else { return false };
    happen(&word, kind, at)
}

/// Read once: no process changes its own environment.
#[cfg(debug_assertions)]
fn directory() -> Option<&'static Path> {
    static DIRECTORY: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    DIRECTORY.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from)).as_deref()
}

/// Takes one of the times that are left.
#[cfg(debug_assertions)]
fn claim(file: &Path) -> Option<String> {
    use std::fs;
    // Two threads at one point must not both take the last time.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let text = fs::read_to_string(file).ok()?;
    let (word, times) = text.trim().split_once(' ').unwrap_or((text.trim(), "1"));
    match times.parse::<u32>() {
        Ok(times) if times > 1 => fs::write(file, format!("{word} {}", times - 1)).ok()?,
        Ok(_) => fs::rename(file, file.with_added_extension("done")).ok()?,
        // "always"
        Err(_) => {}
    }
    Some(word.to_owned())
}

#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "to panic is what was asked for")]
fn happen(word: &str, kind: &str, at: &str) -> bool {
    match word {
        "panic" => panic!("fault point {kind} {at}"),
        "abort" => std::process::abort(),
        "kill" => loop {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        },
        "spin" => loop {
            std::hint::spin_loop();
        },
        "block" => loop {
            std::thread::park();
        },
        "fail" => true,
        other => panic!("fault point {kind} {at}: no such fault: {other}"),
    }
}

#[cfg(all(test, debug_assertions))]
mod tests;
