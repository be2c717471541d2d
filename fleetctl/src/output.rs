//! What goes to stdout and stderr.
use anyhow::Result;
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};

/// How urgent a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    Plain,
    Quiet,
    Good,
    Warning,
    Bad,
    Heading,
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub colours: bool,
}

impl Style {
    #[cfg(test)]
    pub const PLAIN: Self = Self { colours: false };

    /// Colours on a terminal, unless `NO_COLOR` is set or the terminal is a dumb one.
    pub fn of_stdout() -> Self {
        let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Self { colours: std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb }
    }

    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.into(),
            Tone::Quiet => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Heading => "1",
        };
        if self.colours && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

/// Writes to stdout; a reader that has gone away (`| head`) is no error.
pub fn out(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done?),
    }
}

/// One JSON document, for people to read too.
pub fn json(value: &impl Serialize) -> Result<()> {
    out(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// One JSON document on one line, for streams of them.
pub fn json_line(value: &impl Serialize) -> Result<()> {
    out(&format!("{}\n", serde_json::to_string(value)?))
}

/// A remark beside the result. A stderr that is gone is nobody's loss.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
