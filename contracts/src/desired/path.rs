//! Absolute paths, written out.
use super::report::quoted;

/// PATH_MAX of Linux, less the NUL.
const MAX_PATH: usize = 4095;

/// Refuses what is not absolute, not written out, or no path; `form` says what is accepted.
pub(super) fn check(path: &str, what: &str, form: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("{what}, {}, is not absolute: {form}", quoted(path)));
    }
    if path.split('/').any(|part| part == "." || part == "..") {
        return Err(format!("{what}, {}, goes through . or ..: write it out", quoted(path)));
    }
    if path.len() > MAX_PATH || path.contains('\0') {
        return Err(format!("{what}, {}, is no path: at most {MAX_PATH} bytes, no NUL", quoted(path)));
    }
    Ok(())
}

pub(super) fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}
