//! Where a NATS identity comes from.
//!
//! * [`fixed`]: nobody, user and password, token
//! * [`secret`]: a secret written in the configuration or kept in a file
pub mod fixed;
pub mod secret;

pub use fixed::CredentialSettings;
pub use secret::SecretSource;

use async_trait::async_trait;

/// What is presented to the server on one connection attempt.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    Anonymous,
    UserPassword { user: String, password: String },
    Token(String),
}

/// Asked anew on every connection attempt, so that rotated credentials are picked up without a
/// restart. Runs inside the client's connection timeout: it must answer within a second.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    async fn identity(&self) -> Result<Identity, CredentialError>;
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {reason}")]
pub struct CredentialError {
    pub what: String,
    pub reason: String,
}
