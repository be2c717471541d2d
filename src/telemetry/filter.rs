//! Which lines are logged, and how that changes while the program runs.
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{given}\" is no log filter ({why}): write a level, or targets and levels such as info,fleet_agent::actors=debug"
)]
pub struct NotAFilter {
    given: String,
    why: String,
}

/// The program's log filter.
#[derive(Clone)]
pub struct LogFilter {
    handle: reload::Handle<Targets, Registry>,
    configured: Targets,
}

impl LogFilter {
    /// With the layer that it moves, and what to say of a filter that could not be read (then `info`).
    pub fn new(given: Option<&str>) -> (Self, reload::Layer<Targets, Registry>, Option<String>) {
        let (configured, complaint) = configured(given);
        let (layer, handle) = reload::Layer::new(configured.clone());
        (Self { handle, configured }, layer, complaint)
    }

    /// Another filter in place of the one that was configured. Returns it as it was understood.
    pub fn change(&self, filter: &str) -> Result<String, NotAFilter> {
        let not = |why: String| NotAFilter { given: filter.to_owned(), why };
        if filter.trim().is_empty() {
            return Err(not("it is empty".into()));
        }
        let targets: Targets = filter.trim().parse().map_err(|error| not(format!("{error}")))?;
        let text = targets.to_string();
        self.handle.reload(targets).map_err(|error| not(error.to_string()))?;
        Ok(text)
    }

    /// The configured filter again. Returns it.
    pub fn restore(&self) -> String {
        // It fails only where nothing is logged at all.
        let _ = self.handle.reload(self.configured.clone());
        self.configured.to_string()
    }
}

fn configured(given: Option<&str>) -> (Targets, Option<String>) {
    // The libraries' own accounts of what the agent itself logs once, and better.
    let quiet = ["ractor", "async_nats", "bollard", "hyper"].map(|library| (library, LevelFilter::ERROR));
    let default = Targets::new().with_default(LevelFilter::INFO).with_targets(quiet);
    match given.map(str::trim).filter(|given| !given.is_empty()) {
        None => (default, None),
        Some(given) => match given.parse() {
            Ok(filter) => (filter, None),
            Err(error) => {
                (default, Some(format!("RUST_LOG=\"{given}\" is not understood ({error}): info is used")))
            }
        },
    }
}

#[cfg(test)]
mod tests;
