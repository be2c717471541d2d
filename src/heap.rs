//! What the allocator keeps of freed memory. glibc's is tuned for speed on large machines: it keeps what a burst
//! left behind for ever, in holes between what is still used. A small device wants it back.
use std::time::Duration;

/// After what every tick leaves behind (one list of all containers), and soon after any burst. It costs about a
/// system call for each hole of a page or more: some hundred microseconds.
const EVERY: Duration = Duration::from_secs(30);
/// One: the agent has two threads that allocate, and seldom both at once. Each further arena has holes of its own.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 1;
/// In bytes. What is larger gets pages of its own, which go as soon as it is freed: podman's lists, documents. A
/// fixed limit: by itself glibc raises it to the largest block that was ever freed (up to 32 MiB).
#[cfg(target_env = "gnu")]
const OWN_PAGES_FROM: libc::c_int = 32 * 1024;

/// To be called before there is a second thread.
pub fn prepare() {
    #[cfg(target_env = "gnu")]
    set(libc::M_ARENA_MAX, ARENAS);
    #[cfg(target_env = "gnu")]
    set(libc::M_MMAP_THRESHOLD, OWN_PAGES_FROM);
}

/// One that is refused costs memory and nothing else.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)] // No safe binding sets options of the allocator.
fn set(option: libc::c_int, value: libc::c_int) {
    // SAFETY: it only stores the value, under the allocator's own lock.
    unsafe { libc::mallopt(option, value) };
}

/// Gives freed pages back to the kernel, again and again. Never ends.
pub async fn give_back_regularly() {
    loop {
        tokio::time::sleep(EVERY).await;
        give_back();
    }
}

#[allow(unsafe_code)] // No safe binding asks the allocator for this.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: any thread may call it at any time; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0)
    };
}
