//! Which NATS identity is presented, and where its secret is.
use super::problem::{Place, Problem};
use super::raw::{Raw, problem};
use super::schema;
use crate::credentials::{CredentialSettings, SecretSource};

/// What the digest of a configuration knows of its credentials.
pub(super) fn without_secrets(settings: &CredentialSettings) -> serde_json::Value {
    let place = |source: &SecretSource| match source {
        SecretSource::Value(_) => None,
        SecretSource::File(path) => Some(path.to_string_lossy().into_owned()),
    };
    match settings {
        CredentialSettings::None => serde_json::json!({ "type": "none" }),
        CredentialSettings::UserPassword { user, password } => serde_json::json!({
            "type": "user-password", "user": user, "password_file": place(password)
        }),
        CredentialSettings::Token(token) => {
            serde_json::json!({ "type": "token", "token_file": place(token) })
        }
    }
}

const SECTION: &str = "credentials";

/// None after a problem.
pub(super) fn build(raw: &mut Raw, problems: &mut Vec<Problem>) -> Option<CredentialSettings> {
    if raw.was_refused(SECTION, "type") {
        return None;
    }
    let (place, kind) = raw.text(SECTION, "type").unwrap_or_else(|| (Place::Nowhere, "none".to_owned()));
    let settings = match kind.as_str() {
        "none" => Some(CredentialSettings::None),
        "user-password" => user_password(raw, problems, &place),
        "token" => secret(raw, problems, "token", &place).map(CredentialSettings::Token),
        "nkey" | "creds-file" | "jwt-bearer" => {
            problems.push(problem(place, schema::later(&format!("credentials.type \"{kind}\""))));
            // Its fields are not known either; one message is enough.
            raw.rest(SECTION);
            return None;
        }
        _ => {
            problems.push(problem(place, unknown_type(&kind)));
            return None;
        }
    };
    for (key, place, _) in raw.rest(SECTION) {
        let message = format!("{SECTION}.{key} has no meaning with credentials.type = \"{kind}\"");
        problems.push(problem(place, message));
    }
    settings
}

fn unknown_type(kind: &str) -> String {
    const BUILT: [&str; 3] = ["none", "user-password", "token"];
    let near = schema::nearest(kind, BUILT.into_iter(), |near| format!("\"{near}\""));
    format!("unknown credentials.type \"{kind}\"{near} (there are: {})", BUILT.join(", "))
}

fn user_password(raw: &mut Raw, problems: &mut Vec<Problem>, kind: &Place) -> Option<CredentialSettings> {
    let user = raw.text(SECTION, "user").map(|(_, user)| user);
    if user.is_none() && !raw.was_refused(SECTION, "user") {
        problems.push(problem(kind.clone(), "credentials.user is missing"));
    }
    let password = secret(raw, problems, "password", kind);
    Some(CredentialSettings::UserPassword { user: user?, password: password? })
}

/// `<key>` or `<key>_file`, exactly one of them.
fn secret(raw: &mut Raw, problems: &mut Vec<Problem>, key: &str, kind: &Place) -> Option<SecretSource> {
    let value = raw.text(SECTION, key);
    let file_key = format!("{key}_file");
    let file = raw.text(SECTION, &file_key);
    if raw.was_refused(SECTION, key) || raw.was_refused(SECTION, &file_key) {
        return None;
    }
    match (value, file) {
        (Some((_, value)), None) => Some(SecretSource::Value(value)),
        (None, Some((_, file))) => Some(SecretSource::File(file.into())),
        (Some(_), Some((place, _))) => {
            let message = format!("credentials.{key} and credentials.{key}_file exclude each other");
            problems.push(problem(place, message));
            None
        }
        (None, None) => {
            let message = format!("credentials.{key} or credentials.{key}_file is missing");
            problems.push(problem(kind.clone(), message));
            None
        }
    }
}
