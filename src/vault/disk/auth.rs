//! `auth.json`, as containers-auth.json(5) describes it and `podman login --authfile` writes it.
use crate::domain::hidden::{Hidden, RegistryCredential};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

const DOCKER_HUB: &str = "docker.io";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    /// base64 of `user:password`.
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// The entry for an image: that of the longest part of its name, down to the registry.
pub(super) fn find(file: &[u8], image: &str) -> Result<RegistryCredential, String> {
    // The parser's own words would repeat what is in the file.
    let parsed = serde_json::from_slice::<AuthFile>(file)
        .map_err(|error| format!("it is no auth.json (line {}, column {})", error.line(), error.column()))?;
    let name = full_name(image);
    let registry = name.split('/').next().unwrap_or_default().to_owned();
    let entry = scopes(&name)
        .find_map(|scope| parsed.auths.get(scope))
        .or_else(|| parsed.auths.iter().find(|(key, _)| legacy_host(key) == Some(&registry)).map(|(_, e)| e));
    match entry {
        Some(entry) => credential(entry),
        None if parsed.cred_helpers.contains_key(&registry) => {
            Err(format!("it names a credential helper for {registry}, only stored credentials are used"))
        }
        None => Err(format!("it has nothing for {registry}")),
    }
}

fn credential(entry: &Entry) -> Result<RegistryCredential, String> {
    let token = entry.identitytoken.as_deref().filter(|token| !token.is_empty());
    let decoded = entry.auth.as_deref().and_then(|text| STANDARD.decode(text.trim()).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let (user, password) = match (text.as_deref().and_then(|text| text.split_once(':')), token) {
        (Some(pair), _) => pair,
        (None, Some(_)) => ("", ""),
        (None, None) => return Err("its \"auth\" is not the base64 of user:password".into()),
    };
    Ok(RegistryCredential {
        user: user.into(),
        password: Hidden::new(password.as_bytes()),
        identity_token: token.map(|token| Hidden::new(token.as_bytes())),
    })
}

/// Registry and path of a reference, without tag and digest.
fn full_name(image: &str) -> String {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    let name = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        Some(_) | None => image,
    };
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.into(),
        Some(_) => format!("{DOCKER_HUB}/{name}"),
        None => format!("{DOCKER_HUB}/library/{name}"),
    }
}

/// `host/a/b`, `host/a`, `host`.
fn scopes(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |scope| scope.rsplit_once('/').map(|(shorter, _)| shorter))
}

/// The registry of a key that Docker wrote, such as `https://index.docker.io/v1/`.
fn legacy_host(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"))?;
    let host = rest.split('/').next().unwrap_or_default();
    Some(if host == "index.docker.io" { DOCKER_HUB } else { host })
}

#[cfg(test)]
mod tests;
