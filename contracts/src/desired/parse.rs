//! From a document's bytes to validated types: the only door.
use super::report::{Field, Object, Report, quoted};
use super::service::{self, Seen};
use super::{DesiredDeployment, Lifecycle, Service, json, order};

/// The one type of document that this version knows.
pub const PODMAN_V0: &str = "PodmanV0";
/// Most services in one deployment: the device lists all its containers on every tick, and the
/// state of all services has to fit into one state document.
pub const MAX_SERVICES: usize = 64;
/// Longest grace period, in seconds (one day): an update holds the deployment for as long.
pub const MAX_GRACE_S: u32 = 86_400;

/// A document that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    pub deployment: DesiredDeployment,
    /// Unknown fields, by path. At most 64, then how many more there are.
    pub warnings: Vec<String>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `data.services[0].image`; empty for the document as a whole.
    pub path: String,
    /// What is wrong, and what is accepted.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// A document that was not understood; nothing is changed because of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("type {} is not supported by this agent; it knows {PODMAN_V0}", quoted(.0))]
    UnsupportedType(String),
    /// Everything that is wrong. At most 64 problems, then how many more there are.
    #[error("{}", list(.0))]
    InvalidSpec(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(Problem::to_string).collect();
    texts.join("; ")
}

/// Parses and validates a document of at most [`crate::names::MAX_DOCUMENT`] bytes.
///
/// # Errors
/// [`Refusal::UnsupportedType`] for a `type` that is not [`PODMAN_V0`], whatever else the document
/// holds; else [`Refusal::InvalidSpec`] with every problem at once.
pub fn parse(document: &[u8]) -> Result<Parsed, Refusal> {
    let mut report = Report::default();
    let root = match json::read(document, &mut report) {
        Ok(value) => value,
        Err(problem) => return Err(Refusal::InvalidSpec(vec![problem])),
    };
    let deployment = read_root(&Field { path: String::new(), value: &root }, &mut report)?;
    let warnings = report.finish()?;
    Ok(Parsed { deployment, warnings })
}

/// Stands in for what could not be read. It never leaves this file: the report holds a problem then.
fn nothing() -> DesiredDeployment {
    DesiredDeployment { services: Vec::new(), lifecycle: Lifecycle::default() }
}

fn read_root(root: &Field<'_>, report: &mut Report) -> Result<DesiredDeployment, Refusal> {
    let read = root.object();
    let Some(object) = report.keep(root, read) else { return Ok(nothing()) };
    read_type(&object, report)?;
    report.unknown(&object, &[&["type", "data"]]);
    let data = object.required("data", "an object with \"services\"", report);
    Ok(data.map_or_else(nothing, |data| read_data(&data, report)))
}

fn read_type(object: &Object<'_>, report: &mut Report) -> Result<(), Refusal> {
    let Some(field) = object.required("type", "this agent knows \"PodmanV0\"", report) else { return Ok(()) };
    let read = field.text();
    match report.keep(&field, read) {
        Some(PODMAN_V0) | None => Ok(()),
        Some(other) => Err(Refusal::UnsupportedType(other.into())),
    }
}

fn read_data(data: &Field<'_>, report: &mut Report) -> DesiredDeployment {
    let read = data.object();
    let Some(object) = report.keep(data, read) else { return nothing() };
    report.unknown(&object, &[&["services", "lifecycle"]]);
    let services = object.required("services", "a list of at least one service", report);
    let services = services.map(|field| read_services(&field, report)).unwrap_or_default();
    let lifecycle = object.get("lifecycle").map(|field| read_lifecycle(&field, report)).unwrap_or_default();
    DesiredDeployment { services, lifecycle }
}

fn read_services(list: &Field<'_>, report: &mut Report) -> Vec<Service> {
    let read = list.list().and_then(|services| match services.len() {
        0 => Err("at least one service is required; to remove a deployment delete its key".into()),
        1..=MAX_SERVICES => Ok(services),
        many => Err(format!(
            "{many} services are too many: a deployment has at most {MAX_SERVICES}, \
             because its state has to fit into one document; use more deployments"
        )),
    });
    let fields = report.keep(list, read).unwrap_or_default();
    let mut seen = Seen::default();
    let mut read = |field: &Field<'_>| Some((service::read(field, &mut seen, report)?, field.path.clone()));
    let services: Vec<_> = fields.iter().filter_map(&mut read).collect();
    order::check(&services, report);
    services.into_iter().map(|(service, _)| service).collect()
}

fn read_lifecycle(field: &Field<'_>, report: &mut Report) -> Lifecycle {
    let read = field.object();
    let Some(object) = report.keep(field, read) else { return Lifecycle::default() };
    report.unknown(&object, &[&["stop_signal", "grace_period_s"]]);
    let mut lifecycle = Lifecycle::default();
    if let Some(field) = object.get("stop_signal") {
        let read = field.text().and_then(|name| name.parse());
        lifecycle.stop_signal = report.keep(&field, read).unwrap_or_default();
    }
    if let Some(field) = object.get("grace_period_s") {
        lifecycle.grace_period_s = report.keep(&field, read_grace(&field)).unwrap_or_default();
    }
    lifecycle
}

fn read_grace(field: &Field<'_>) -> Result<u32, String> {
    let seconds = field.value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    seconds
        .filter(|seconds| *seconds <= MAX_GRACE_S)
        .ok_or_else(|| format!("a whole number of seconds from 0 to {MAX_GRACE_S} is expected"))
}

#[cfg(test)]
mod tests;
