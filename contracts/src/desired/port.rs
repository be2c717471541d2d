//! Published ports: `[ip:]host:container[/tcp|/udp]`.
use super::report::quoted;
use super::{Port, Protocol};
use std::net::IpAddr;
use std::str::FromStr;

const FORM: &str = "use [ip:]host:container[/tcp|/udp], such as \"8080:80\" or \"127.0.0.1:5353:53/udp\"";

impl FromStr for Port {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let (binding, protocol) = match given.split_once('/') {
            None => (given, Protocol::Tcp),
            Some((binding, "tcp")) => (binding, Protocol::Tcp),
            Some((binding, "udp")) => (binding, Protocol::Udp),
            Some((_, other)) => return Err(format!("protocol {}: use tcp or udp", quoted(other))),
        };
        let (rest, container) = binding.rsplit_once(':').ok_or_else(|| one_port(binding))?;
        let (ip, host) = split_ip(rest)?;
        Ok(Self { ip, host: number(host)?, container: number(container)?, protocol })
    }
}

fn one_port(binding: &str) -> String {
    format!("{} names one port, two are needed: {FORM}", quoted(binding))
}

fn split_ip(rest: &str) -> Result<(Option<IpAddr>, &str), String> {
    let Some((ip, host)) = rest.rsplit_once(':') else { return Ok((None, rest)) };
    let bracketed = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let address = match bracketed {
        Some(ip) => ip.parse().ok().map(IpAddr::V6),
        None => ip.parse().ok().map(IpAddr::V4),
    };
    let wrong = || format!("{} is no IP address (IPv6 goes in brackets): {FORM}", quoted(ip));
    Ok((Some(address.ok_or_else(wrong)?), host))
}

fn number(given: &str) -> Result<u16, String> {
    let digits = !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit());
    let number = given.parse::<u16>().ok().filter(|number| digits && *number > 0);
    number.ok_or_else(|| match given.contains('-') {
        true => format!("{} is a range: name each port by itself", quoted(given)),
        false => format!("{} is no port from 1 to 65535: {FORM}", quoted(given)),
    })
}

impl Port {
    /// Whether both cannot be bound at once: same port and protocol on addresses that overlap. Without
    /// an address a port is bound on all; `0.0.0.0` and `[::]` beside each other are two bindings.
    pub fn collides(&self, other: &Port) -> bool {
        let overlap = match (self.ip, other.ip) {
            (None, _) | (_, None) => true,
            (Some(a), Some(b)) => {
                a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
            }
        };
        overlap && self.host == other.host && self.protocol == other.protocol
    }
}

#[cfg(test)]
mod tests;
