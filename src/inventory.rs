//! What this machine is, read from `/proc`, `/etc` and the kernel. Reads files: not for an actor's
//! handler.
use fleet_contracts::device::Inventory;
use std::ffi::CStr;
use std::fs;
use std::path::Path;

mod clock;
pub use clock::clock_synced;

const MIB: u64 = 1024 * 1024;

/// Reads what can be read; what cannot is empty or 0. `runtime` is None: whoever speaks to the
/// container runtime fills it in.
pub fn read(state_dir: &Path) -> Inventory {
    read_below(Path::new("/"), state_dir)
}

fn read_below(root: &Path, state_dir: &Path) -> Inventory {
    let kernel = rustix::system::uname();
    let text = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    // /usr/lib has the vendor's copy where /etc was emptied.
    let os = [text("etc/os-release"), text("usr/lib/os-release")];
    let os = os.iter().find(|os| !os.is_empty()).map_or("", String::as_str);
    Inventory {
        hostname: lossy(kernel.nodename()),
        arch: lossy(kernel.machine()),
        os: os_release(os, "ID").unwrap_or_else(|| std::env::consts::OS.to_owned()),
        os_release: os_release(os, "PRETTY_NAME").unwrap_or_default(),
        kernel: lossy(kernel.release()),
        cpu_cores: std::thread::available_parallelism()
            .map_or(0, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
        memory_mb: memory_mb(&text("proc/meminfo")),
        disk_total_mb: disk_total_mb(state_dir),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        runtime: None,
        boot_id: text("proc/sys/kernel/random/boot_id").trim().to_owned(),
    }
}

fn lossy(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

/// One value of an os-release(5) file: shell-like, quotes optional.
fn os_release(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some(quoted.unwrap_or(value).replace("\\\"", "\"").replace("\\$", "$").replace("\\\\", "\\"))
}

fn memory_mb(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|total| total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// Of the filesystem that holds `path`, or will: the nearest ancestor that exists.
fn disk_total_mb(path: &Path) -> u64 {
    let filesystem = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok());
    filesystem.map_or(0, |fs| fs.f_blocks.saturating_mul(fs.f_frsize) / MIB)
}

#[cfg(test)]
mod tests;
