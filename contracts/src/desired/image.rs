//! Image references: `[host[:port]/]path[:tag][@digest]`, by the grammar of the OCI distribution
//! specification; or an archive on the device. Whether the image exists is seen when it is fetched.
use super::path;
use super::report::quoted;

const FORM: &str = "use [host[:port]/]path[:tag][@digest], such as registry.example/web:1.4";
const ARCHIVES: [&str; 2] = ["oci-archive:", "docker-archive:"];
const ARCHIVE_FORM: &str = "use oci-archive:/path or docker-archive:/path";
/// Longest name (host and path), by the distribution specification.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

pub(super) fn check(image: &str) -> Result<String, String> {
    if image.is_empty() {
        return Err(format!("empty: {FORM}"));
    }
    if let Some(path) = archive_path(image) {
        return check_archive(path).map(|()| image.into());
    }
    if let Some((scheme, _)) = image.split_once("://") {
        return Err(format!("leave out {}: {FORM}", quoted(&format!("{scheme}://"))));
    }
    let wrong = |what: &str| format!("{} is no image reference, {what}: {FORM}", quoted(image));
    check_parts(image).map_err(|what| wrong(&what))?;
    Ok(image.into())
}

/// The path of the file that holds the image, where it comes from one.
pub fn archive_path(image: &str) -> Option<&str> {
    ARCHIVES.iter().find_map(|archive| image.strip_prefix(archive))
}

fn check_archive(path: &str) -> Result<(), String> {
    path::check(path, "the path on the device", ARCHIVE_FORM)?;
    if path.contains(':') {
        return Err(format!("{} holds a colon, which separates a reference: {ARCHIVE_FORM}", quoted(path)));
    }
    Ok(())
}

fn check_parts(image: &str) -> Result<(), String> {
    let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest)));
    if !digest.is_none_or(is_digest) {
        return Err("the digest is not sha256: and 64 of 0-9 a-f (or sha512: and 128)".into());
    }
    let (name, tag) = match rest.rsplit_once(':') {
        // A colon before the last slash belongs to the port.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        Some(_) | None => (rest, None),
    };
    if !tag.is_none_or(is_tag) {
        return Err("the tag is not 1 to 128 of A-Z a-z 0-9 _ . -".into());
    }
    check_name(name)
}

fn check_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME {
        return Err(format!("its name has more than {MAX_NAME} characters"));
    }
    let path = match name.split_once('/') {
        Some((host, path)) if is_host(host) => path,
        Some(_) | None => name,
    };
    match path.split('/').find(|part| !is_component(part)) {
        None => Ok(()),
        Some("") => Err("a part of its path is empty".into()),
        Some(part) if part.bytes().any(|b| b.is_ascii_uppercase()) => {
            Err(format!("{} has to be in lower case", quoted(part)))
        }
        Some(part) => Err(format!("{} is not of a-z 0-9 with . _ - between", quoted(part))),
    }
}

fn is_host(part: &str) -> bool {
    let (host, port) = part.rsplit_once(':').map_or((part, None), |(host, port)| (host, Some(port)));
    let names_a_host = part.contains(['.', ':']) || part == "localhost";
    let host_ok = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        }
    };
    names_a_host && host_ok && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_component(part: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    edge(part.bytes().next()) && edge(part.bytes().last()) && part.bytes().all(inner) && !part.contains("..")
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=MAX_TAG).contains(&tag.len())
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
        && tag.bytes().next().is_some_and(word)
}

fn is_digest(digest: &str) -> bool {
    let hex = |hex: &str, length: usize| {
        hex.len() == length && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match digest.split_once(':') {
        Some(("sha256", digits)) => hex(digits, 64),
        Some(("sha512", digits)) => hex(digits, 128),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests;
