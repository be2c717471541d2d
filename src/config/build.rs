//! From values to settings: defaults, and what no single value can tell.
use super::problem::{Place, Problem};
use super::raw::{Raw, Value, problem};
use super::{AgentSettings, ClientCertificate, Config, NatsSettings, RuntimeSettings, credentials, socket};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

const STATE_DIR: &str = "/var/lib/fleet-agent";
const SECRETS_DIR: &str = "/etc/fleet-agent/secrets";
const REGISTRY_AUTH_DIR: &str = "/etc/fleet-agent/registry-auth";
const NATS_URL: &str = "nats://127.0.0.1:4222";
const REPLY_PREFIX: &str = "_INBOX.";
/// Both intervals, seconds: an hour of silence is never healthy, and a tick costs a list of all containers.
const INTERVAL_S: i64 = 30;

/// What podman and the agent write while they clear away: with nothing left, a remove fails too. An image that does not fit
/// into more than this is refused anyway, so that a small device loses nothing by it.
const MIN_FREE_MB: i64 = 64;

/// None when something needed is missing or wrong; what is wrong is in `problems` either way.
pub fn build(
    mut raw: Raw,
    environment: &HashMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<Config> {
    let agent = agent(&mut raw, problems);
    let nats = nats(&mut raw, problems);
    let credentials = credentials::build(&mut raw, problems);
    let needed = agent.as_ref().is_none_or(|agent| agent.runtime_enabled);
    let socket = socket::build(&mut raw, environment, needed, problems);
    let directory = |raw: &mut Raw, key: &str, default: &str, problems: &mut Vec<Problem>| {
        absolute_path(raw, "runtime", key, problems).unwrap_or_else(|| default.into())
    };
    let runtime = RuntimeSettings {
        socket,
        secrets_dir: directory(&mut raw, "secrets_dir", SECRETS_DIR, problems),
        registry_auth_dir: directory(&mut raw, "registry_auth_dir", REGISTRY_AUTH_DIR, problems),
        // The schema's bounds exclude negative values.
        min_free_mb: raw.integer("runtime", "min_free_mb").unwrap_or(MIN_FREE_MB).unsigned_abs(),
    };
    let labels = labels(&mut raw, problems);
    Some(Config { agent: agent?, nats, credentials: credentials?, runtime, labels })
}

fn agent(raw: &mut Raw, problems: &mut Vec<Problem>) -> Option<AgentSettings> {
    let device_id = match raw.text("agent", "device_id") {
        Some((place, id)) => {
            id.parse().map_err(|error| problems.push(problem(place, format!("{error}")))).ok()
        }
        None => {
            if !raw.was_refused("agent", "device_id") {
                problems.push(problem(Place::Nowhere, "agent.device_id is missing"));
            }
            None
        }
    };
    let state_dir = absolute_path(raw, "agent", "state_dir", problems);
    Some(AgentSettings {
        runtime_enabled: raw.bool("agent", "runtime_enabled").unwrap_or(true),
        state_dir: state_dir.unwrap_or_else(|| STATE_DIR.into()),
        heartbeat: seconds(raw, "heartbeat_s"),
        reconcile: seconds(raw, "reconcile_s"),
        device_id: device_id?,
    })
}

fn seconds(raw: &mut Raw, key: &str) -> Duration {
    // The schema's bounds exclude negative values.
    Duration::from_secs(raw.integer("agent", key).unwrap_or(INTERVAL_S).unsigned_abs())
}

/// Absolute, because a daemon's working directory is nothing a person thinks of.
fn absolute_path(raw: &mut Raw, section: &str, key: &str, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    let (place, path) = raw.text(section, key)?;
    if path.starts_with('/') {
        return Some(path.into());
    }
    problems.push(problem(place, format!("{section}.{key} must be an absolute path, not \"{path}\"")));
    None
}

fn nats(raw: &mut Raw, problems: &mut Vec<Problem>) -> NatsSettings {
    let urls = list(raw, "urls", NATS_URL, check_url, problems);
    let reply_prefixes = list(raw, "reply_prefixes", REPLY_PREFIX, check_reply_prefix, problems);
    let inbox_prefix = raw.text("nats", "inbox_prefix").and_then(|(place, prefix)| {
        check_subject(&prefix)
            .map_err(|why| problems.push(problem(place, format!("nats.inbox_prefix {why}"))))
            .ok()?;
        Some(prefix)
    });
    NatsSettings {
        urls,
        tls_ca: absolute_path(raw, "nats", "tls_ca", problems),
        tls_client: client_certificate(raw, problems),
        inbox_prefix,
        reply_prefixes,
    }
}

fn client_certificate(raw: &mut Raw, problems: &mut Vec<Problem>) -> Option<ClientCertificate> {
    let certificate = absolute_path(raw, "nats", "tls_cert", problems);
    let key = absolute_path(raw, "nats", "tls_key", problems);
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            let message = "nats.tls_cert and nats.tls_key belong together: one of them is missing";
            problems.push(problem(Place::Nowhere, message));
            None
        }
    }
}

fn list(
    raw: &mut Raw,
    key: &str,
    default: &str,
    check: fn(&str) -> Result<(), String>,
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let Some((place, items)) = raw.list("nats", key) else { return vec![default.to_owned()] };
    if items.is_empty() {
        problems.push(problem(place.clone(), format!("nats.{key} must not be empty")));
    }
    for why in items.iter().filter_map(|item| check(item).err()) {
        problems.push(problem(place.clone(), format!("nats.{key}: {why}")));
    }
    items
}

fn check_url(url: &str) -> Result<(), String> {
    // User and password in a URL would end up in logs and `ps`; the text is not repeated here either.
    let address = match url.split_once("://") {
        Some(("nats" | "tls", address)) => address,
        Some((scheme, _)) => return Err(format!("scheme \"{scheme}\" is not spoken: use nats:// or tls://")),
        None => return Err("a URL must begin with nats:// or tls://".into()),
    };
    if address.contains('@') {
        return Err("user and password belong into [credentials], not into a URL".into());
    }
    if address.is_empty() || address.contains(|c: char| c == '/' || c.is_whitespace()) {
        return Err(format!("\"{url}\" must be nats://host[:port]"));
    }
    Ok(())
}

fn check_reply_prefix(prefix: &str) -> Result<(), String> {
    let Some(subject) = prefix.strip_suffix('.') else {
        // Without it "_INBOX" would also allow "_INBOXES.x".
        return Err(format!("\"{prefix}\" must end with \".\""));
    };
    check_subject(subject).map_err(|why| format!("\"{prefix}\" {why}"))
}

fn check_subject(subject: &str) -> Result<(), String> {
    let token = |token: &str| {
        !token.is_empty()
            && !token.contains(|c: char| c.is_whitespace() || c.is_control() || c == '*' || c == '>')
    };
    if subject.split('.').all(token) {
        Ok(())
    } else {
        Err("must be a NATS subject without wildcards".into())
    }
}

fn labels(raw: &mut Raw, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, place, value) in raw.rest("labels") {
        match value {
            Value::Text(text) if !key.is_empty() => drop(labels.insert(key, text)),
            Value::Text(_) | Value::Bool(_) | Value::Integer(_) | Value::List(_) => {
                problems.push(problem(place, "a label needs a name and a text"));
            }
        }
    }
    labels
}
