//! Where NATS is.
use super::calls;
use crate::bus::{BusError, ErrorKind, Result};
use async_nats::ServerAddr;
use fleet_contracts::DeviceId;
use std::fmt;
use std::path::PathBuf;

/// Where NATS is and how to speak to it. `Debug` shows no password of a URL.
#[derive(Clone)]
pub struct NatsSettings {
    /// `nats://host:4222`, `tls://host:4222` or `host:port`.
    pub urls: Vec<String>,
    /// First tokens of every inbox, `_INBOX` when None. A prefix of its own lets permissions keep
    /// devices from reading each other's answers.
    pub inbox_prefix: Option<String>,
    pub device: DeviceId,
    /// CA certificates; the system's when None. Read anew on each attempt, as are the next two.
    pub tls_ca: Option<PathBuf>,
    /// Client certificate; needs `tls_key`.
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
}

impl fmt::Debug for NatsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| without_user(url)).collect();
        f.debug_struct("NatsSettings")
            .field("urls", &urls)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// A URL without the user and password that it may carry.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { host.into() } else { format!("{scheme}://{host}") }
}

/// The servers to try, in any order.
pub(super) fn servers(settings: &NatsSettings) -> Result<Vec<ServerAddr>> {
    let refused = |object: &str, message: String| -> BusError {
        calls::error("connect", &without_user(object), ErrorKind::Refused, message)
    };
    if settings.urls.is_empty() {
        return Err(refused("nats", "no URL is configured".into()));
    }
    settings
        .urls
        .iter()
        .map(|url| url.parse().map_err(|e: std::io::Error| refused(url, e.to_string())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(urls: &[&str]) -> NatsSettings {
        NatsSettings {
            urls: urls.iter().map(ToString::to_string).collect(),
            inbox_prefix: None,
            device: "d1".parse().unwrap(),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let urls = ["nats://me:s3@cret@host:4222", "me:s3cret@host:4222"];
        let shown =
            format!("{:?} {:?}", settings(&urls), servers(&settings(&["nats://me:s3cret@ho st"])).err());
        assert!(!shown.contains("cret"), "{shown}");
        assert!(shown.contains("nats://host:4222"), "{shown}");
    }

    #[test]
    fn without_a_url_that_can_be_read_nothing_starts() {
        assert_eq!(servers(&settings(&[])).unwrap_err().kind, ErrorKind::Refused);
        assert_eq!(servers(&settings(&["a:4222", "ftp://b"])).unwrap_err().object, "ftp://b");
        assert_eq!(servers(&settings(&["a:4222", "tls://b"])).unwrap().len(), 2);
    }
}
