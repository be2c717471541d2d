//! Processes as the kernel knows them: who is alive, and when one dies.
use crate::domain::container::Process;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `start_ticks` of a process in a /proc that is not ours (the runtime has another pid namespace):
/// nothing can be known of it here. No container's process starts in the tick of the boot.
pub const UNSEEN: u64 = 0;

/// How often /proc is read where the kernel has no pidfd (before 5.3): half a second of delay is
/// small beside a restart, two reads a second per container are cheap.
const POLL: Duration = Duration::from_millis(500);

/// The live process that has this pid now. None when there is none; a zombie counts as gone. Errs
/// when /proc could not be read for another reason: then nothing is known.
pub fn find(pid: u32) -> io::Result<Option<Process>> {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(parse(&stat).map(|start_ticks| Process { pid, start_ticks })),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A process that goes while its file is read is ESRCH.
fn is_absence(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// Whether it is still this process, and alive. One of which nothing can be known counts as alive.
pub fn is_alive(process: Process) -> bool {
    process.start_ticks == UNSEEN || find(process.pid).map_or(true, |found| found == Some(process))
}

/// Whether the pids that this process speaks of are also ours: it is there, in our pid namespace.
pub fn shares_pids(pid: u32) -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid"));
    let is_same = match (namespace("self"), namespace(&pid.to_string())) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        // Another user's namespace link is not ours to read; its presence must do.
        (_, Err(error)) => error.kind() == io::ErrorKind::PermissionDenied,
        (Err(_), Ok(_)) => false,
    };
    is_same && matches!(find(pid), Ok(Some(_)))
}

/// Start time out of proc(5) `stat`, in clock ticks since boot. None for a zombie or a dead one.
fn parse(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may hold both spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" | "x" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// Kills the process that has this pid now, if it belongs to the container: its control group bears the
/// container's id, as podman makes them.
pub fn kill_in_container(pid: u32, container: &str) {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(fd) = pidfd_open(raw, PidfdFlags::empty()) else { return };
    // The fd holds whoever has the pid: what is read now is about the one that is killed, or about nobody.
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    if groups.contains(container) {
        let _ = pidfd_send_signal(fd, Signal::KILL);
    }
}

/// Waits until the process is gone; at once when it already is, never for an unseen one.
pub async fn death(process: Process) {
    if process.start_ticks == UNSEEN {
        return std::future::pending().await;
    }
    match open(process) {
        Watch::Gone => {}
        Watch::Pidfd(fd) => {
            // tokio deprecates its safe constructors for any descriptor but raw ones it cannot trust.
            // SAFETY: an `OwnedFd` has one descriptor, open until it is dropped; nothing takes it out.
            #[allow(unsafe_code)]
            let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
            // Without a registration there is still the slow way.
            match watched {
                Ok(fd) if fd.readable().await.is_ok() => {}
                Ok(_) | Err(_) => poll(process).await,
            }
        }
        Watch::Poll => poll(process).await,
    }
}

enum Watch {
    Gone,
    Pidfd(OwnedFd),
    Poll,
}

fn open(process: Process) -> Watch {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Watch::Gone;
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // The fd holds whoever had the pid at that moment: only now is the comparison worth something.
        Ok(fd) if is_alive(process) => Watch::Pidfd(fd),
        Ok(_) | Err(Errno::SRCH) => Watch::Gone,
        Err(_) => Watch::Poll,
    }
}

async fn poll(process: Process) {
    while is_alive(process) {
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests;
