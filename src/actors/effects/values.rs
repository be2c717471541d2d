//! Values that are on the device only: read when they are needed, kept by nobody.
use super::operations;
use crate::domain::hidden::{Hidden, RegistryCredential};
use crate::domain::spec::{FileOwner, PlacedFile};
use crate::messages::effects::{Creation, Failure, Operation, Outcome};
use crate::questions::{self, About};
use crate::runtime::ContainerRuntime;
use crate::vault::{Vault, VaultError};
use fleet_contracts::ValueName;
use fleet_contracts::desired::SecretTarget;
use fleet_contracts::names::label;
use fleet_contracts::state::Code;
use std::sync::Arc;
use std::time::Duration;

/// A few small files; a disk that takes longer does not answer.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Of a secret's file in a container: whoever the container runs as reads it, nobody writes it.
const SECRET_MODE: u16 = 0o400;

/// Creates a container with the values that its secrets have now.
pub async fn create(
    runtime: &dyn ContainerRuntime,
    vault: &Arc<dyn Vault>,
    mut creation: Creation,
) -> Outcome {
    if !creation.secrets.is_empty() {
        creation = read(vault, Code::Start, move |vault| fill_in(vault, creation)).await?;
    }
    operations::perform(runtime, Operation::Create(Box::new(creation))).await
}

/// The credential of that name, for the registry that this image comes from.
pub async fn credential(
    vault: &Arc<dyn Vault>,
    name: ValueName,
    image: &str,
) -> Result<RegistryCredential, Failure> {
    let image = image.to_owned();
    read(vault, Code::RegistryAuth, move |vault| vault.credential(&name, &image)).await
}

async fn read<T: Send + 'static>(
    vault: &Arc<dyn Vault>,
    code: Code,
    work: impl FnOnce(&dyn Vault) -> Result<T, VaultError> + Send + 'static,
) -> Result<T, Failure> {
    let vault = vault.clone();
    let refused = |message: String| Failure::Refused { code, message };
    match questions::ask(About::Values, READ_WITHIN, move || work(&*vault)).await {
        Some(read) => read.map_err(|error| refused(error.to_string())),
        None => Err(refused("the files of secrets and credentials do not answer".into())),
    }
}

fn fill_in(vault: &dyn Vault, mut creation: Creation) -> Result<Creation, VaultError> {
    let mut reloaded = Vec::new();
    for secret in &creation.secrets {
        let value = vault.secret(&secret.name)?;
        if secret.reload && creation.reloaded.contains(&secret.name) {
            reloaded.push((secret.name.clone(), value.clone()));
        }
        match &secret.target {
            SecretTarget::Env(variable) => {
                let text = variable_text(&secret.name, &value)?;
                creation.spec.hidden_env.insert(variable.clone(), text);
            }
            SecretTarget::Path(path) => creation.files.push(PlacedFile {
                path: path.clone(),
                mode: SECRET_MODE,
                owner: FileOwner::User,
                content: value,
            }),
        }
    }
    if !reloaded.is_empty() {
        let version = vault.version(&reloaded)?;
        creation.spec.labels.insert(label::SECRETS_VERSION.into(), version.as_str().into());
    }
    Ok(creation)
}

/// A variable is text. The line end that an editor leaves at the end of a file is not part of it.
fn variable_text(name: &ValueName, value: &Hidden) -> Result<Hidden, VaultError> {
    let wrong = |reason: &str| VaultError { what: format!("secret {name}"), reason: reason.into() };
    let text = std::str::from_utf8(value.reveal()).map_err(|_| wrong("it is no UTF-8: use path"))?;
    if text.contains('\0') {
        return Err(wrong("it holds a NUL, which no variable can: use path"));
    }
    Ok(Hidden::new(text.trim_end_matches(['\n', '\r']).as_bytes()))
}
