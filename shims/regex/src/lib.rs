//! Stands in for the crate `regex`: its engines and Unicode tables were a seventh of the agent. Where async-nats
//! uses it (a server's version, names of buckets and services), every pattern is ASCII and every text short.
//! docs/adr/0013-a-smaller-regex.md
pub use regex_lite::*;

#[cfg(test)]
mod tests {
    use super::Regex;

    /// The patterns of async-nats 0.51, so that one this engine does not know is noticed here and not on a device.
    #[test]
    fn what_async_nats_asks_for_is_understood() {
        let matches = |pattern: &str, text: &str| Regex::new(pattern).unwrap().is_match(text);
        assert!(matches(r"\A[a-zA-Z0-9_-]+\z", "desired-state"));
        assert!(!matches(r"\A[a-zA-Z0-9_-]+\z", "desired state"));
        assert!(matches(r"\A[-/_=\.a-zA-Z0-9]+\z", "gateway-17.shop"));
        assert!(matches(r"^[A-Za-z0-9\-_]+$", "fleet-agent"));
        let semver = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$";
        assert!(matches(semver, "0.1.0"));
        assert!(matches(semver, "1.2.3-rc.1+build.5"));
        assert!(!matches(semver, "1.2"));
    }

    #[test]
    fn a_servers_version_is_taken_apart() {
        let version = Regex::new(r"\Av?([0-9]+)\.?([0-9]+)?\.?([0-9]+)?").unwrap();
        let parts = version.captures("2.10.27-beta").unwrap();
        let part = |n| parts.get(n).map(|part| part.as_str());
        assert_eq!((part(1), part(2), part(3)), (Some("2"), Some("10"), Some("27")));
    }
}
