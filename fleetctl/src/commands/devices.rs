use crate::cli::Format;
use crate::connect::Session;
use crate::output::{self, Style};
use crate::render;
use anyhow::Result;

pub async fn run(session: &Session) -> Result<()> {
    let devices = session.devices().await?.unwrap_or_default();
    match session.format {
        Format::Json => output::json(&devices),
        Format::Table if devices.is_empty() => {
            output::note(
                "no device has reported to this server yet; is it the right one (--server, --context)?",
            );
            Ok(())
        }
        Format::Table => output::out(&render::devices::render(&devices, Style::of_stdout())),
    }
}
