use super::apply::warn_if_away;
use super::progress::Progress;
use crate::cli::{Delete, Format};
use crate::connect::Session;
use crate::exit::{Exit, Stop};
use crate::kv::Follower;
use crate::output;
use crate::render::progress::line;
use anyhow::{Context as _, Result};
use fleet_contracts::state::DeploymentState;
use fleet_contracts::{Timestamp, names};
use serde_json::json;

pub async fn run(session: &Session, delete: &Delete) -> Result<()> {
    let Delete { device, name, wait } = delete;
    let (wanted, reported) = known(session, delete).await?;
    if !wanted && !reported {
        let stop = Stop::new(Exit::Failed, format!("{device} has no deployment {name}"));
        return Err(stop.next(format!("`fleetctl get --device {device}` lists what it has")).into());
    }
    // Also for a deployment that is only reported: the marker is what authorises its removal.
    let store = session.desired_bucket().await?;
    warn_if_away(session, device).await?;
    let key = names::desired_key(device, name);
    session
        .within(store.delete(&key))
        .await?
        .with_context(|| format!("deleting {key} was not acknowledged"))?;
    let gone = *wait && reported;
    if gone {
        wait_until_gone(session, delete).await?;
    }
    match (session.format, *wait) {
        (Format::Json, waited) => {
            output::json(&json!({"device_id": device, "deployment": name, "deleted": true, "gone": waited}))
        }
        (Format::Table, true) => output::out(&format!("{name} is gone from {device}\n")),
        (Format::Table, false) => output::out(&format!("{name} on {device}: delete marker written\n")),
    }
}

/// Whether there is a document, and whether the device reports the deployment.
async fn known(session: &Session, delete: &Delete) -> Result<(bool, bool)> {
    let present = async |bucket, key: String| -> Result<bool> {
        let entries = session.last(bucket, &key).await?.unwrap_or_default();
        Ok(entries.iter().any(|entry| entry.value.is_some()))
    };
    let wanted = present(names::DESIRED_STATE, names::desired_key(&delete.device, &delete.name)).await?;
    let reported = present(names::DEVICE_STATE, names::state_key(&delete.device, &delete.name)).await?;
    Ok((wanted, reported))
}

async fn wait_until_gone(session: &Session, delete: &Delete) -> Result<()> {
    let Delete { device, name, .. } = delete;
    let mut states = Follower::new(session, names::DEVICE_STATE, names::state_key(device, name));
    let mut progress = Progress::begin();
    let gone = tokio::time::timeout(session.wait, async {
        while let Some(value) = states.next().await.value {
            if let Ok(state) = serde_json::from_slice::<DeploymentState>(&value) {
                progress.show(&line(&state, Timestamp::now()));
            }
        }
    });
    gone.await.map_err(|_| {
        let waited = session.wait.as_secs();
        let text = format!("{name} is still on {device} after {waited} s: {}", progress.last());
        Stop::new(Exit::TimedOut, text)
            .next(format!("`fleetctl status {device} --watch` goes on watching"))
            .into()
    })
}
