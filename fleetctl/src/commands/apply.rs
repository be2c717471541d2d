use super::progress::Progress;
use super::verdict::{Verdict, judge};
use crate::cli::{Apply, Format};
use crate::connect::Session;
use crate::exit::{Exit, Stop};
use crate::kv::Follower;
use crate::output;
use crate::render::age::age;
use crate::render::progress::line;
use crate::render::status::error_text;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use fleet_contracts::desired::{self, Refusal};
use fleet_contracts::state::DeploymentState;
use fleet_contracts::{DeviceId, Timestamp, names};
use serde_json::json;
use std::io::Read;
use std::path::Path;

/// A document that was read and found valid.
pub struct Document {
    bytes: Bytes,
    warnings: Vec<String>,
}

impl Document {
    pub fn json(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.bytes)?)
    }
}

/// Reads and checks the document; needs no server.
pub fn read(file: &Path) -> Result<Document> {
    let mut bytes = Vec::new();
    // One byte more than is accepted is enough to know; the rest of a wrong file is not read.
    let limit = u64::try_from(names::MAX_DOCUMENT).unwrap_or(u64::MAX).saturating_add(1);
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(limit).read_to_end(&mut bytes),
        false => std::fs::File::open(file).and_then(|open| open.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Stop::new(Exit::BadDocument, format!("cannot read {}: {error}", file.display())))?;
    let parsed = desired::parse(&bytes).map_err(|refusal| refused(file, &refusal))?;
    for path in &parsed.warnings {
        output::note(&format!("warning: {path} is not known and will be ignored"));
    }
    Ok(Document { bytes: bytes.into(), warnings: parsed.warnings })
}

fn refused(file: &Path, refusal: &Refusal) -> Stop {
    let problems = match refusal {
        Refusal::UnsupportedType(_) => format!("\n  {refusal}"),
        Refusal::InvalidSpec(problems) => problems.iter().map(|problem| format!("\n  {problem}")).collect(),
    };
    let message = format!("{} is not a valid document, nothing was written:{problems}", file.display());
    Stop::new(Exit::BadDocument, message)
}

pub async fn run(session: &Session, apply: &Apply, document: Document) -> Result<()> {
    let store = session.desired_bucket().await?;
    let before = if apply.wait { reported(session, apply).await? } else { 0 };
    warn_if_away(session, &apply.device).await?;
    let key = names::desired_key(&apply.device, &apply.name);
    let revision = session.within(store.put(&key, document.bytes)).await?.with_context(|| {
        format!("writing {key} was not acknowledged and may have happened; `fleetctl get` shows it")
    })?;
    if !apply.wait {
        return show_written(session, apply, revision, &document.warnings);
    }
    output::note(&format!("{} on {}: revision {revision} written", apply.name, apply.device));
    wait(session, apply, revision, before).await
}

fn show_written(session: &Session, apply: &Apply, revision: u64, warnings: &[String]) -> Result<()> {
    let Apply { device, name, .. } = apply;
    match session.format {
        Format::Json => output::json(
            &json!({"device_id": device, "deployment": name, "revision": revision, "warnings": warnings}),
        ),
        Format::Table => output::out(&format!("{name} on {device}: revision {revision} written\n")),
    }
}

/// The revision of the state key now. Only what is reported after it answers to our write: a state of
/// an earlier life of the bucket can name any revision.
async fn reported(session: &Session, apply: &Apply) -> Result<u64> {
    let key = names::state_key(&apply.device, &apply.name);
    let entries = session.last(names::DEVICE_STATE, &key).await?.unwrap_or_default();
    Ok(entries.first().map_or(0, |entry| entry.revision))
}

/// Says so when the device will not act at once.
pub async fn warn_if_away(session: &Session, id: &DeviceId) -> Result<()> {
    let away = match session.device(id).await? {
        None => format!("{id} has never reported to this server (is the id right?)"),
        Some(device) => match device.last_seen_s {
            _ if !device.stale => return Ok(()),
            Some(seconds) => format!("{id} was last seen {} ago", age(seconds)),
            None => format!("{id} has no heartbeat"),
        },
    };
    output::note(&format!("note: {away}; it will do this once it is connected"));
    Ok(())
}

async fn wait(session: &Session, apply: &Apply, revision: u64, before: u64) -> Result<()> {
    let mut states =
        Follower::new(session, names::DEVICE_STATE, names::state_key(&apply.device, &apply.name));
    let mut progress = Progress::begin();
    let mut last = None;
    let result = tokio::time::timeout(session.wait, async {
        loop {
            let entry = states.next().await;
            let state = entry.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
            let Some(state) = state.filter(|_| entry.revision > before) else { continue };
            progress.show(&line(&state, Timestamp::now()));
            let verdict = judge(&state, revision);
            last = Some(state);
            if verdict != Verdict::Waiting {
                return verdict;
            }
        }
    })
    .await;
    drop(progress);
    show_result(session, apply, revision, result.unwrap_or(Verdict::Waiting), last)
}

fn show_result(
    session: &Session,
    apply: &Apply,
    revision: u64,
    verdict: Verdict,
    state: Option<DeploymentState>,
) -> Result<()> {
    let Apply { device, name, .. } = apply;
    let word = match &verdict {
        Verdict::Done => "done",
        Verdict::Failed(_) => "failed",
        Verdict::Waiting => "timed-out",
    };
    if session.format == Format::Json {
        output::json(&json!({"device_id": device, "deployment": name, "revision": revision, "result": word,
            "state": state}))?;
    }
    let error = state.as_ref().and_then(|state| state.last_error.as_ref());
    let error = error.map(|error| format!(": {}", error_text(error, Timestamp::now()))).unwrap_or_default();
    match verdict {
        Verdict::Done if session.format == Format::Json => Ok(()),
        Verdict::Done => {
            let phase = state.map(|state| state.phase.to_string()).unwrap_or_default();
            output::out(&format!("{name} on {device} is {phase} at revision {revision}\n"))
        }
        Verdict::Failed(why) => {
            let stop = Stop::new(Exit::Failed, format!("{name} on {device}: {why}{error}"));
            Err(stop.next("correct the document and apply it again; what ran before is left as it is").into())
        }
        Verdict::Waiting => {
            let phase = state.map_or_else(|| "nothing reported".into(), |state| state.phase.to_string());
            let waited = session.wait.as_secs();
            let text = format!("{name} on {device} is not there after {waited} s: {phase}{error}");
            Err(Stop::new(Exit::TimedOut, text)
                .next(format!("`fleetctl status {device} --watch` goes on watching"))
                .into())
        }
    }
}
