//! Which network a service is on.
use super::Network;
use super::report::quoted;
use std::str::FromStr;

/// Podman keeps a file of this name.
const MAX_NAME: usize = 128;
/// The deployments' own networks; nobody else gets into them by name.
const OWN: &str = "fleet-";
/// Words that podman reads as something else than a name.
const PODMANS_WORDS: [&str; 5] = ["default", "private", "slirp4netns", "pasta", "podman"];

impl FromStr for Network {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        match given {
            "bridge" => return Ok(Self::Bridge),
            "host" => return Ok(Self::Host),
            "none" => return Ok(Self::None),
            _ => {}
        }
        if given.starts_with(OWN) {
            return Err(format!(
                "{}: networks {OWN}* belong to deployments, use another name",
                quoted(given)
            ));
        }
        if PODMANS_WORDS.contains(&given) {
            return Err(format!("{} means something else to podman: use another name", quoted(given)));
        }
        let begins = given.starts_with(|c: char| c.is_ascii_alphanumeric());
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if begins && given.len() <= MAX_NAME && given.bytes().all(plain) {
            return Ok(Self::Named(given.into()));
        }
        Err(format!(
            "{}: use bridge, host, none, or a name of 1 to {MAX_NAME} of A-Z a-z 0-9 _ . -, a letter or digit first",
            quoted(given)
        ))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
            Self::Named(name) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_of_three_words_or_a_name() {
        assert_eq!("bridge".parse(), Ok(Network::Bridge));
        assert_eq!("host".parse(), Ok(Network::Host));
        assert_eq!("none".parse(), Ok(Network::None));
        assert_eq!("plant_7".parse(), Ok(Network::Named("plant_7".into())));
    }

    #[test]
    fn neither_a_deployments_own_network_nor_podmans_words_can_be_named() {
        for given in ["", "fleet-shop", "podman", "container:abc", "ns:/proc/1/ns/net", "-x", "a b", "a/b"] {
            assert!(given.parse::<Network>().is_err(), "{given}");
        }
    }
}
