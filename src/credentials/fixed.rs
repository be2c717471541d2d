//! Identities that need no exchange with anybody: nobody, user and password, token.
use super::{CredentialError, Credentials, Identity, SecretSource};
use async_trait::async_trait;
use std::sync::Arc;

/// `[credentials]` of the configuration. `Debug` never shows a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSettings {
    None,
    UserPassword { user: String, password: SecretSource },
    Token(SecretSource),
}

impl CredentialSettings {
    /// The source of identities that these settings describe. Reads nothing yet.
    pub fn build(self) -> Arc<dyn Credentials> {
        Arc::new(Fixed(self))
    }
}

struct Fixed(CredentialSettings);

#[async_trait]
impl Credentials for Fixed {
    async fn identity(&self) -> Result<Identity, CredentialError> {
        match &self.0 {
            CredentialSettings::None => Ok(Identity::Anonymous),
            CredentialSettings::UserPassword { user, password } => {
                let password = password.read("the NATS password").await?;
                Ok(Identity::UserPassword { user: user.clone(), password })
            }
            CredentialSettings::Token(token) => Ok(Identity::Token(token.read("the NATS token").await?)),
        }
    }
}

#[cfg(test)]
mod tests;
