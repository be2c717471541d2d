//! The file `last-words` in the state directory: written by the process that aborts, in the moment it does.
//!
//! `abort` (a panic inside a panic, a failed allocation, a stack that overflows) runs no code of ours but a
//! signal handler, in which only the simplest system calls are allowed (signal-safety(7)): `open` and `write`. (A file
//! that is open for writing all the time would keep an administrator from remounting the filesystem read-only.) An end from outside (`kill -9`, the OOM killer, a power cut) writes
//! nothing, and is nobody's fault.
use crate::telemetry::blame;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

const FILE: &str = "last-words";
/// Longer than what is ever written.
const LONGEST: u64 = 256;
/// What abort(3) and the compiler's traps raise. SIGSEGV and SIGBUS are Rust's own: it turns an overflow of the
/// stack into an abort.
const SIGNALS: [(libc::c_int, &str); 3] =
    [(libc::SIGABRT, "SIGABRT"), (libc::SIGILL, "SIGILL"), (libc::SIGFPE, "SIGFPE")];

/// Set before any signal is listened for; read by the handler, for which it is a pointer that does not change.
static PATH: OnceLock<CString> = OnceLock::new();

/// How the process before this one aborted.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    pub signal: &'static str,
    /// What its thread worked on; may be empty.
    pub worked_on: String,
}

/// What the former process left, if it aborted.
pub fn collect(state_dir: &Path) -> Option<Words> {
    let mut bytes = Vec::new();
    File::open(state_dir.join(FILE)).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let (signal, name) = bytes.split_first()?;
    let (_, signal) = SIGNALS.iter().find(|(number, _)| *number == libc::c_int::from(*signal))?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Some(Words { signal, worked_on: String::from_utf8_lossy(&name[..end]).into_owned() })
}

/// From now on an abort of this process leaves its last words, over those of the one before.
///
/// # Errors
/// The words of the one before cannot be taken away: they may be told again.
pub fn prepare(state_dir: &Path) -> io::Result<()> {
    let path = state_dir.join(FILE);
    let _ = PATH.set(CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?);
    for (signal, _) in SIGNALS {
        listen(signal);
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&path).map(drop)
}

/// After an ordered end there is nothing to say.
pub fn forget(state_dir: &Path) {
    let _ = fs::remove_file(state_dir.join(FILE));
}

#[allow(unsafe_code)]
fn listen(signal: libc::c_int) {
    // SAFETY: an all-zero sigaction is valid; the handler does only what signal-safety(7) allows, and restores the
    // default, so that the process then ends as it would have.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

#[allow(unsafe_code)]
extern "C" fn on_signal(signal: libc::c_int) {
    let mut words = [0; blame::LONGEST + 1];
    words[0] = u8::try_from(signal).unwrap_or(u8::MAX);
    words[1..].copy_from_slice(&blame::of_this_thread());
    let path = PATH.get().map_or(std::ptr::null(), |path| path.as_ptr());
    // SAFETY: the path ends with a NUL and lives for ever, the buffer is ours and as long as said; no path, and a
    // descriptor that is none, are errors that are ignored.
    unsafe {
        let file = libc::open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_CLOEXEC, 0o600);
        libc::write(file, words.as_ptr().cast(), words.len());
        // Not before (`SA_RESETHAND`): another thread that aborts at the same time would end the process while this one
        // still writes.
        libc::signal(signal, libc::SIG_DFL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_aborting_process_wrote_is_read_and_anything_else_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(collect(dir.path()), None);
        for (bytes, expected) in [
            (&b""[..], None),
            (b"\x06", Some(("SIGABRT", ""))),
            (b"\x06web\0\0\0", Some(("SIGABRT", "web"))),
            (b"\xffweb", None),
        ] {
            fs::write(dir.path().join(FILE), bytes).unwrap();
            let words = collect(dir.path());
            assert_eq!(words.as_ref().map(|w| (w.signal, w.worked_on.as_str())), expected);
        }
        forget(dir.path());
        assert_eq!(collect(dir.path()), None);
    }
}
