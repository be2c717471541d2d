//! The one place that waits.
use std::time::Duration;
use tokio::time::Instant;

/// For what takes milliseconds on an idle machine and is waited for on a busy one.
pub const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_millis(25);

/// Waits until `check` answers Ok. When it does not in time, the error is its last one.
pub async fn patiently<T>(mut check: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= end => return Err(format!("not within {PATIENCE:?}: {last}")),
            Err(_) => tokio::time::sleep(BETWEEN).await,
        }
    }
}
