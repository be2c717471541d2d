//! Volumes: `source:target[:ro|:rw]`.
use super::path;
use super::report::quoted;
use super::{Volume, VolumeSource};
use std::str::FromStr;

const FORM: &str = "use name:/path[:ro] or /host/path:/path[:ro]";
/// Longest name of a volume: podman makes a directory `fleet-<deployment>.<name>` of it, and a file
/// name ends at 255 bytes.
const MAX_NAME: usize = 128;

impl FromStr for Volume {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let mut parts = given.split(':');
        let source = parts.next().unwrap_or_default();
        let Some(target) = parts.next() else {
            return Err(format!("{} names no path in the container: {FORM}", quoted(given)));
        };
        let read_only = match (parts.next(), parts.next()) {
            (None | Some("rw"), None) => false,
            (Some("ro"), None) => true,
            (Some(option), None) => return Err(format!("option {}: use ro or rw", quoted(option))),
            (_, Some(_)) => return Err(format!("{} has too many colons: {FORM}", quoted(given))),
        };
        let volume = Self { source: read_source(source)?, target: target.into(), read_only };
        path::check(target, "the path in the container", FORM)?;
        if path::components(target).next().is_none() {
            return Err("the root of a container cannot be mounted over: name a path below /".into());
        }
        Ok(volume)
    }
}

fn read_source(source: &str) -> Result<VolumeSource, String> {
    if source.contains('/') {
        path::check(source, "the path on the device", FORM)?;
        return Ok(VolumeSource::Bind(source.into()));
    }
    let begins = source.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if begins && source.len() <= MAX_NAME && source.bytes().all(plain) {
        return Ok(VolumeSource::Named(source.into()));
    }
    Err(format!(
        "{} is no volume name: use 1 to {MAX_NAME} of A-Z a-z 0-9 _ . -, a letter or digit first",
        quoted(source)
    ))
}

impl Volume {
    /// Where it is mounted, whichever way it is spelled (`/data`, `/data/`).
    pub(super) fn place(&self) -> String {
        path::components(&self.target).collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests;
