//! The one place that waits.
use std::time::Duration;
use tokio::time::Instant;

/// For what takes milliseconds on an idle machine and is waited for on a busy one.
pub const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_millis(25);

/// Waits until `check` answers Ok. When it does not in time, the error is its last one.
pub async fn patiently<T>(check: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
    within(PATIENCE, check).await
}

/// The same for what takes longer by itself.
pub async fn within<T>(
    patience: Duration,
    mut check: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let end = Instant::now() + patience;
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= end => return Err(format!("not within {patience:?}: {last}")),
            Err(_) => tokio::time::sleep(BETWEEN).await,
        }
    }
}
