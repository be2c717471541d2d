//! How long one pull is waited for.
use super::super::turns::Turns;
use crate::messages::effects::Failure;
use crate::runtime::PullProgress;
use fleet_contracts::desired::archive_path;
use fleet_contracts::state::Code;
use std::time::Duration;
use tokio::time::Instant;

/// A registry that stalls would hold the pull for ever. Podman reports each layer at least once a
/// second while bytes come.
const STALLED_AFTER: Duration = Duration::from_secs(60);
/// Podman says nothing while it unpacks an archive: 1 GB on a slow card.
const UNPACKED_WITHIN: Duration = Duration::from_secs(15 * 60);
/// All that a slow card still has to write, of others too: nothing is wrong with the pull.
const SYNCED_WITHIN: Duration = Duration::from_secs(30 * 60);
/// While another one waits: who brings less than [`PACE`] in this time lets it by. That is below what any link brings
/// over which images are pulled at all; a registry that sends a byte now and then would keep its slot for days.
const PACE_WITHIN: Duration = Duration::from_secs(10 * 60);
const PACE: u64 = 1024 * 1024;
/// While another one waits: a turn ends after this time, however it went. Podman keeps the layers that are complete.
const TURN: Duration = Duration::from_secs(4 * 3600);

/// The clocks of one pull.
pub struct Patience<'a> {
    image: &'a str,
    /// Over when podman has it all: what is synced needs no slot.
    turns: Option<Turns>,
    began: Instant,
    best: PullProgress,
    /// When something came last.
    moved: Instant,
    /// Since when the pace is measured, and what was there then.
    window: (Instant, u64),
}

impl<'a> Patience<'a> {
    pub fn new(image: &'a str, turns: Turns) -> Self {
        let now = Instant::now();
        let best = PullProgress::default();
        Self { image, turns: Some(turns), began: now, best, moved: now, window: (now, 0) }
    }

    /// Until something may be over.
    pub fn left(&self) -> Duration {
        let next = (self.moved + self.patience()).min(self.window.0 + PACE_WITHIN).min(self.began + TURN);
        // When its turn is over, and nobody wants it, it is asked again now and then.
        next.saturating_duration_since(Instant::now()).max(Duration::from_secs(1))
    }

    /// True: it is more than before. Repeated lines of the same bytes are no progress.
    pub fn saw(&mut self, now: &PullProgress) -> bool {
        let is_new = *now != self.best;
        if is_new {
            self.best = now.clone();
            self.moved = Instant::now();
        }
        if now.is_syncing {
            self.turns = None;
        }
        is_new
    }

    /// Why it has to end now.
    pub fn is_over(&mut self) -> Result<(), Failure> {
        let patience = self.patience();
        if self.moved.elapsed() >= patience {
            return Err(self.stalled(patience));
        }
        if self.began.elapsed() >= TURN && self.is_wanted() {
            return Err(self.gives_way());
        }
        let (since, before) = self.window;
        if since.elapsed() < PACE_WITHIN {
            return Ok(());
        }
        let is_slow = self.best.current.saturating_sub(before) < PACE;
        // An archive has no pace while podman unpacks it.
        if is_slow && archive_path(self.image).is_none() && self.is_wanted() {
            return Err(self.gives_way());
        }
        self.window = (Instant::now(), self.best.current);
        Ok(())
    }

    fn patience(&self) -> Duration {
        match archive_path(self.image) {
            _ if self.best.is_syncing => SYNCED_WITHIN,
            Some(_) => UNPACKED_WITHIN,
            None => STALLED_AFTER,
        }
    }

    /// To be asked last: true means to give way.
    fn is_wanted(&self) -> bool {
        self.turns.as_ref().is_some_and(Turns::are_wanted)
    }

    fn stalled(&self, patience: Duration) -> Failure {
        let (image, seconds) = (self.image, patience.as_secs());
        let PullProgress { current, total, is_syncing } = self.best;
        refused(if is_syncing {
            format!("pull {image}: it is here, and after {seconds} s not safely on the disk; tried again")
        } else {
            format!(
                "pull {image}: no progress for {seconds} s at {current} of {total} bytes; ended, to be tried again"
            )
        })
    }

    fn gives_way(&self) -> Failure {
        let (image, minutes) = (self.image, self.began.elapsed().as_secs() / 60);
        let PullProgress { current, total, .. } = self.best;
        refused(format!(
            "pull {image}: after {minutes} min at {current} of {total} bytes it gives way to others that wait; \
             to be tried again"
        ))
    }
}

fn refused(message: String) -> Failure {
    Failure::Refused { code: Code::ImagePull, message }
}
