//! Which server, and as whom: flag, else environment, else a context of the `nats` CLI, else localhost.
use crate::cli::Global;
use crate::exit::{Exit, Stop};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

pub const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

/// Everything that is needed to connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    pub servers: Vec<String>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub token: Option<String>,
    pub inbox_prefix: Option<String>,
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// A context file of the `nats` CLI. It writes absent settings as empty strings.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    url: String,
    user: String,
    password: String,
    token: String,
    inbox_prefix: String,
    ca: String,
    cert: String,
    key: String,
    creds: String,
    nkey: String,
    nsc: String,
    user_jwt: String,
    jetstream_domain: String,
}

/// Resolves the target. `env` looks a variable up; one that is empty counts as not set.
pub fn resolve(flags: &Global, env: &dyn Fn(&str) -> Option<String>) -> Result<Target> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    refuse_not_yet("environment", &[("NATS_CREDS", env("NATS_CREDS")), ("NATS_NKEY", env("NATS_NKEY"))])?;
    let file = load(flags.context.clone().or_else(|| env("NATS_CONTEXT")), &env)?;
    let pick = |flag: &Option<String>, name: &str, file: String| {
        flag.clone().or_else(|| env(name)).or_else(|| Some(file).filter(|value| !value.is_empty()))
    };
    let path = |name: &str, file: String| pick(&None, name, file).map(PathBuf::from);
    let url = pick(&flags.server, "NATS_URL", file.url).unwrap_or_else(|| DEFAULT_URL.into());
    Ok(Target {
        servers: url.split(',').map(|server| server.trim().to_string()).collect(),
        user: pick(&flags.user, "NATS_USER", file.user),
        password: pick(&flags.password, "NATS_PASSWORD", file.password),
        token: pick(&flags.token, "NATS_TOKEN", file.token),
        inbox_prefix: pick(&None, "NATS_INBOX_PREFIX", file.inbox_prefix),
        ca: path("NATS_CA", file.ca),
        cert: path("NATS_CERT", file.cert),
        key: path("NATS_KEY", file.key),
    })
}

fn load(named: Option<String>, env: &dyn Fn(&str) -> Option<String>) -> Result<File> {
    let Some(folder) = folder(env) else {
        return named.map_or_else(|| Ok(File::default()), |name| Err(no_home(&name).into()));
    };
    let Some(name) = named.or_else(|| selected(&folder)) else { return Ok(File::default()) };
    let path = folder.join("context").join(format!("{name}.json"));
    let bytes = std::fs::read(&path).map_err(|error| missing(&name, &path, &error))?;
    let file: File = serde_json::from_slice(&bytes)
        .map_err(|error| Stop::new(Exit::Usage, format!("context {}: {error}", path.display())))?;
    let unsupported = [
        ("creds", &file.creds),
        ("nkey", &file.nkey),
        ("nsc", &file.nsc),
        ("user_jwt", &file.user_jwt),
        ("jetstream_domain", &file.jetstream_domain),
    ];
    let set =
        unsupported.map(|(field, value)| (field, Some(value.clone()).filter(|value| !value.is_empty())));
    refuse_not_yet(&format!("context {name}"), &set)?;
    Ok(file)
}

fn folder(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let config = env("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| env("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(config.join("nats"))
}

/// The context chosen with `nats context select`.
fn selected(folder: &Path) -> Option<String> {
    let name = std::fs::read_to_string(folder.join("context.txt")).ok()?;
    Some(name.trim().to_string()).filter(|name| !name.is_empty())
}

fn refuse_not_yet(place: &str, settings: &[(&str, Option<String>)]) -> Result<()> {
    match settings.iter().find(|(_, value)| value.is_some()) {
        None => Ok(()),
        Some((name, _)) => Err(Stop::new(Exit::Usage, format!("{name} in the {place} is not supported yet"))
            .next("use user and password, or a token; another context can be given with --context"))
        .context("cannot connect"),
    }
}

fn no_home(name: &str) -> Stop {
    Stop::new(Exit::Usage, format!("context {name}: neither XDG_CONFIG_HOME nor HOME is set"))
}

fn missing(name: &str, path: &Path, error: &std::io::Error) -> Stop {
    let files = path.parent().map(std::fs::read_dir).and_then(Result::ok);
    let mut known: Vec<String> = files
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    known.sort();
    let step = match known.is_empty() {
        true => "make one with `nats context add`, or give --server".to_string(),
        false => format!("there are: {}", known.join(", ")),
    };
    Stop::new(Exit::Usage, format!("context {name}: {}: {error}", path.display())).next(step)
}

#[cfg(test)]
mod tests;
