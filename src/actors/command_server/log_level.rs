//! What is logged, changed from afar for a while.
use super::verbs::{Desk, Result};
use super::{CommandServer, Message};
use crate::messages::command_server::Answer;
use crate::supervision::Context;
use fleet_contracts::commands::{
    CommandError, ErrorCode, LOG_LEVEL_FOR_S, LOG_LEVEL_FOR_S_MAX, LogLevelReply, LogLevelRequest,
};
use std::time::Duration;

/// Setting it again replaces it: the last change decides when the configured filter is back.
const TIMER: &str = "log filter";

impl CommandServer {
    pub(super) fn change_log(&self, desk: &Desk, payload: &[u8], ctx: &mut Context<Message>) -> Answer {
        desk.finish(self.changed_log(desk, payload, ctx))
    }

    fn changed_log(&self, desk: &Desk, payload: &[u8], ctx: &mut Context<Message>) -> Result<Vec<u8>> {
        let LogLevelRequest { filter, for_s } = desk.decode(payload)?;
        let for_s = for_s.unwrap_or(LOG_LEVEL_FOR_S);
        if for_s > LOG_LEVEL_FOR_S_MAX {
            let text = format!("for_s may be {LOG_LEVEL_FOR_S_MAX} at most, a day; this is {for_s}");
            return Err(CommandError::new(ErrorCode::BadRequest, text));
        }
        let changed = self.args.log.change(&filter);
        let changed =
            changed.map_err(|error| CommandError::new(ErrorCode::BadRequest, format!("filter: {error}")))?;
        let wait = Duration::from_secs(for_s.into());
        let until = self.args.clock.wall(self.args.clock.now() + wait);
        let until =
            until.ok_or_else(|| CommandError::new(ErrorCode::NotReady, "the clock is out of range"))?;
        let filter = if wait.is_zero() { self.args.log.restore() } else { changed };
        ctx.after(TIMER, wait, Message::LogFilterDue);
        desk.encode(&LogLevelReply { filter, until })
    }

    pub(super) fn on_log_filter_due(&self) {
        let filter = self.args.log.restore();
        tracing::info!(filter, "what is logged is again what was configured");
    }
}
