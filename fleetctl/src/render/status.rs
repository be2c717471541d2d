//! The page of `fleetctl status`.
use super::age::age;
use super::clean;
use super::devices::{health, tone};
use super::table::{Row, table};
use crate::device::Device;
use crate::output::{Style, Tone};
use fleet_contracts::state::{Code, DeploymentState, LastError, Phase, ServicePhase, ServiceState};
use fleet_contracts::{ServiceName, Timestamp};

/// Characters of an id that are enough to tell containers apart, as podman shows them.
const SHORT_ID: usize = 12;

pub fn render(device: &Device, deployments: &[DeploymentState], now: Timestamp, style: Style) -> String {
    let head = head(device);
    let mut page = style.paint(tone(device.attention()), &head) + "\n\n";
    if deployments.is_empty() {
        page += "no deployments\n";
        return page;
    }
    let rows = deployments.iter().flat_map(|state| rows(state, now)).collect();
    let headings = ["DEPLOYMENT", "PHASE", "REVISION", "SERVICE", "STATE", "FOR", "RESTARTS", "CONTAINER"];
    page += &table(&headings, rows, style);
    let remarks: Vec<String> = deployments.iter().flat_map(|state| remarks(state, now, style)).collect();
    if !remarks.is_empty() {
        page += &format!("\n{}\n", remarks.join("\n"));
    }
    page
}

fn head(device: &Device) -> String {
    let mut parts = vec![device.device_id.to_string(), health(device)];
    if let Some(beat) = &device.heartbeat {
        parts.push(format!("agent {}", beat.agent_version));
        parts.push(format!("up {}", age(i64::try_from(beat.uptime_s).unwrap_or(i64::MAX))));
    }
    parts.extend(device.last_seen_s.map(|seconds| format!("last seen {} ago", age(seconds))));
    if let Some(crash) = device.heartbeat.as_ref().and_then(|beat| beat.last_crash.as_deref()) {
        parts.push(format!("last crash: {crash}"));
    }
    clean(&parts.join("   "))
}

fn rows(state: &DeploymentState, now: Timestamp) -> Vec<Row> {
    let revision = state.observed_revision.map_or_else(|| "-".into(), |revision| revision.to_string());
    let head = [state.deployment.to_string(), state.phase.to_string(), revision];
    let tone = phase_tone(state.phase);
    if state.services.is_empty() {
        return vec![Row::new(tone, head.into_iter().chain(std::iter::repeat_n(String::new(), 5)))];
    }
    let more = [String::new(), String::new(), String::new()];
    let heads = [head].into_iter().chain(std::iter::repeat(more));
    let services = heads.zip(&state.services);
    services.map(|(head, service)| Row::new(tone, head.into_iter().chain(cells(service, now)))).collect()
}

fn cells((name, service): (&ServiceName, &ServiceState), now: Timestamp) -> [String; 5] {
    let since = service.started_at.map(|at| age(now.unix_seconds() - at.unix_seconds()));
    let container = service.container_id.as_deref().unwrap_or("-").chars().take(SHORT_ID).collect();
    [
        name.to_string(),
        service_state(service),
        since.filter(|_| service.phase == ServicePhase::Running).unwrap_or_else(|| "-".into()),
        service.restarts.to_string(),
        container,
    ]
}

/// Its phase, with what makes it clearer: exit code and health.
fn service_state(service: &ServiceState) -> String {
    let exited = matches!(service.phase, ServicePhase::Exited | ServicePhase::Failed);
    let code = service.exit_code.filter(|_| exited).map(|code| format!(" ({code})")).unwrap_or_default();
    let health = service.health.map(|health| format!(", {health}")).unwrap_or_default();
    format!("{}{code}{health}", service.phase)
}

pub fn phase_tone(phase: Phase) -> Tone {
    match phase {
        Phase::Running | Phase::Completed => Tone::Good,
        Phase::Failed | Phase::Held => Tone::Bad,
        Phase::Degraded | Phase::Unknown => Tone::Warning,
        Phase::Pending | Phase::Pulling | Phase::Starting | Phase::Updating | Phase::Stopping => Tone::Plain,
    }
}

fn remarks(state: &DeploymentState, now: Timestamp, style: Style) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(error) = &state.last_error {
        let text = format!("{}: {}", state.deployment, error_text(error, now));
        remarks.push(style.paint(phase_tone(state.phase).max(Tone::Warning), &text));
        remarks.extend(next_step(state, error));
    }
    let ignored = |path: &String| format!("{}: unknown field {} is ignored", state.deployment, clean(path));
    remarks.extend(state.warnings.iter().map(ignored));
    remarks
}

/// Code, service, message, and when it is tried again.
pub fn error_text(error: &LastError, now: Timestamp) -> String {
    let service = error.service.as_ref().map(|service| format!(" ({service})")).unwrap_or_default();
    let retry = error.retry_at.map(|at| match at.unix_seconds() - now.unix_seconds() {
        seconds @ 1.. => format!("; tried again in {}", age(seconds)),
        _ => "; tried again now".into(),
    });
    format!("{}{service}: {}{}", error.code, clean(&error.message), retry.unwrap_or_default())
}

fn next_step(state: &DeploymentState, error: &LastError) -> Option<String> {
    let (device, name) = (&state.device_id, &state.deployment);
    match error.code {
        Code::RemovalHeld => Some(format!("  next: `fleetctl confirm --device {device} {name}` lets it go")),
        Code::InvalidSpec | Code::UnsupportedType => {
            Some(format!("  next: correct the document and apply it again; {name} runs on as before"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
