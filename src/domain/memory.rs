//! What a slot remembers between steps. It may be lost at any time: the worst that follows is a
//! retry that comes too early.
use super::backoff::{Backoff, CALM_AFTER, Dice};
use super::container::{Container, ContainerId, Process, Status};
use super::desired::Target;
use super::health::{Health, Verdict};
use super::jobs::End;
use super::plan::View;
use super::time::Moment;
use fleet_contracts::desired::{Pull, Restart};
use fleet_contracts::state::{self, Code};
use std::time::Duration;

/// From this many failures in a row on, it is called a crash loop.
const CRASH_LOOP: u32 = 3;
/// A container in a crash loop that lives this long is believed again. Without it the state would
/// flap to `Running` for the blink of each attempt.
pub const BELIEVED_AFTER: Duration = Duration::from_secs(10);

/// Every other cause of that state is over by then.
const BUSY_TOLD_AFTER: Duration = Duration::from_secs(10);

/// What is known of the target's image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Image {
    /// Not asked: the create will tell.
    #[default]
    Unknown,
    Missing,
    Pulling,
    /// Pulled for this target.
    Pulled,
}

/// What has to come before the successor's create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    Create,
    Pull,
    Wait(Option<Moment>),
}

/// What went wrong last in this slot, while it is still wrong.
/// What was tried when it went wrong: only its success ends the trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Bringing the successor's image and container here.
    Preparing,
    /// Starting the container in service, and keeping it up.
    Running,
    /// Stopping, renaming and removing what is in the way.
    Clearing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub about: About,
    pub code: Code,
    pub message: String,
    pub retry_at: Option<Moment>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Starts and exits of the container in service.
    pub starts: Backoff,
    /// Pulls and creates of the successor.
    pub prepares: Backoff,
    /// Stops, renames and removes.
    pub clears: Backoff,
    pub image: Image,
    /// Bytes received and expected, while pulling.
    pub progress: Option<(u64, u64)>,
    pub trouble: Option<Trouble>,
    pub restarts: u64,
    /// Nothing helps before somebody looks again (a foreign container has our name).
    blocked: bool,
    alive: Option<Alive>,
    /// Since when nothing can be learnt of the container in service.
    busy_since: Option<Moment>,
    /// It ended badly, and nobody has read yet what it said.
    unheard: Option<ContainerId>,
    /// Of the container in service, when it is of the wanted spec and that has a check.
    health: Option<Health>,
    /// It was stopped because of its health, and not started again yet.
    restart_owed: bool,
    /// How the job of the wanted spec ended.
    end: Option<End>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alive {
    id: ContainerId,
    since: Moment,
}

impl Memory {
    /// A changed target gets a fresh start: only what is about the container in service stays.
    pub fn new_target(&mut self) {
        self.prepares.forget();
        self.starts.forget();
        self.blocked = false;
        self.image = Image::Unknown;
        self.progress = None;
        self.trouble = None;
        (self.health, self.unheard, self.end) = (None, None, None);
    }

    /// Its secrets have other values now: what failed may have failed because of the former ones.
    pub fn new_secrets(&mut self) {
        self.prepares.forget();
        self.starts.forget();
        self.trouble = None;
    }

    pub fn readiness(&self, policy: Pull, now: Moment) -> Readiness {
        if self.blocked || self.image == Image::Pulling {
            return Readiness::Wait(None);
        }
        if !self.prepares.is_due(now) {
            return Readiness::Wait(self.prepares.retry_at());
        }
        match (policy, self.image) {
            (Pull::Always, Image::Unknown) | (Pull::Always | Pull::IfMissing, Image::Missing) => {
                Readiness::Pull
            }
            (_, Image::Pulled | Image::Unknown) | (Pull::Never, _) => Readiness::Create,
            (_, Image::Pulling) => Readiness::Wait(None),
        }
    }

    /// Until when stops, renames and removes wait, if they do.
    pub fn clearing_waits(&self, now: Moment) -> Option<Option<Moment>> {
        let is_blocked = self.blocked && self.is_troubled(About::Clearing);
        if is_blocked {
            return Some(None);
        }
        (!self.clears.is_due(now)).then(|| self.clears.retry_at())
    }

    /// Compares with what was seen before: a death is counted once, a long life forgives.
    pub fn observe(&mut self, target: &Target, view: &View, now: Moment, dice: Dice) {
        if view.all().any(|container| target.digest_is(container)) {
            self.prepared();
        }
        self.observe_health(target, view, now);
        let Some(main) = &view.main else {
            self.alive = None;
            return self.tell_of_the_end(target);
        };
        match main.status {
            Status::Running(_) => self.seen_alive(&main.id, now),
            Status::Ended { .. } | Status::Exited { .. } if self.restart_owed => {}
            Status::Ended { code } | Status::Exited { code }
                if target.digest_is(main) && target.stays_down(code) =>
            {
                self.job_ended(target, code);
                self.ended(&main.id, code);
            }
            Status::Created if target.digest_is(main) && self.end_of(target).is_some() => {
                self.tell_of_the_end(target);
            }
            Status::Ended { .. } | Status::Exited { .. } | Status::Lying | Status::Created => {
                self.seen_dead(main, now, dice);
            }
            Status::Busy => self.seen_busy(now),
            Status::Stopping(_) | Status::Paused => {}
        }
        if main.status != Status::Busy {
            self.busy_since = None;
        }
    }

    /// We started it, so it was alive, however briefly: its death counts although nobody saw it live.
    pub fn started(&mut self, id: &ContainerId, now: Moment) {
        self.alive = Some(Alive { id: id.clone(), since: now });
        self.restart_owed = false;
    }

    fn seen_alive(&mut self, id: &ContainerId, now: Moment) {
        // Its stop did not happen, or it was started again.
        self.restart_owed = false;
        let since = match &self.alive {
            Some(alive) if alive.id == *id => alive.since,
            _ => now,
        };
        self.alive = Some(Alive { id: id.clone(), since });
        let lived = now.since(since);
        if lived >= CALM_AFTER {
            self.starts.forget();
        }
        if self.is_troubled(About::Running)
            && !self.is_doubted_by_its_check()
            && (self.starts.failures() < CRASH_LOOP || lived >= BELIEVED_AFTER)
        {
            self.trouble = None;
        }
    }

    /// For a moment that is nothing: somebody removes it. For longer it has to be told.
    fn seen_busy(&mut self, now: Moment) {
        let since = *self.busy_since.get_or_insert(now);
        if now.since(since) >= BUSY_TOLD_AFTER {
            let message = "podman does not say how its container is, or somebody else works on it".to_owned();
            let (about, code) = (About::Running, Code::Timeout);
            self.trouble = Some(Trouble { about, code, message, retry_at: None });
        }
    }

    fn seen_dead(&mut self, container: &Container, now: Moment, dice: Dice) {
        let Some(alive) = self.alive.take().filter(|alive| alive.id == container.id) else { return };
        if now.since(alive.since) >= CALM_AFTER {
            self.starts.forget();
        }
        let what = match container.status.exit_code() {
            Some(code) => format!("the container exited with code {code}"),
            None => "the container's process is gone".to_owned(),
        };
        self.start_failed(Code::Exited, what, now, dice);
        self.unheard = Some(alive.id);
    }

    /// The container ended, and its policy leaves it so.
    fn ended(&mut self, id: &ContainerId, code: i64) {
        self.alive = None;
        self.starts.forget();
        // Seen at every look, told once: what it said stands.
        if self
            .trouble
            .as_ref()
            .is_some_and(|trouble| trouble.code == Code::Exited && trouble.retry_at.is_none())
        {
            return;
        }
        self.unheard = (code != 0).then(|| id.clone());
        self.trouble = (code != 0).then(|| Trouble {
            about: About::Running,
            code: Code::Exited,
            message: left_down(code),
            retry_at: None,
        });
    }

    /// The container that ended badly since the last question, if any.
    pub fn take_unheard(&mut self) -> Option<ContainerId> {
        self.unheard.take()
    }

    /// What the container said before it ended belongs to what is told of its end.
    pub fn said(&mut self, words: &str) {
        let of_an_end = |trouble: &&mut Trouble| matches!(trouble.code, Code::Exited | Code::CrashLoop);
        if let Some(trouble) = self.trouble.as_mut().filter(of_an_end)
            && !words.is_empty()
        {
            trouble.message += &said_last(words);
            if let Some(end) = &mut self.end {
                end.said = Some(words.to_owned());
            }
        }
    }

    /// A container that is not ours has the slot's name: looked at again at the next tick.
    pub fn name_conflict(&mut self, about: About, message: String) {
        self.blocked = true;
        let code = Code::NameConflict;
        self.trouble = Some(Trouble { about, code, message, retry_at: None });
    }

    /// Too little is free for the image: looked at again at the next tick. Somebody may bring it here by hand
    /// meanwhile, and the next create tells.
    pub fn no_room(&mut self, message: String) {
        (self.blocked, self.image, self.progress) = (true, Image::Unknown, None);
        let (about, code) = (About::Preparing, Code::DiskFull);
        self.trouble = Some(Trouble { about, code, message, retry_at: None });
    }

    /// Bytes come: there was room to begin.
    pub fn progressed(&mut self, current: u64, total: u64) {
        self.progress = Some((current, total));
        if self.is_waiting_for_room() {
            self.trouble = None;
        }
    }

    /// Whether bytes are on their way, or may be. Of one that waits for room nothing is said before some came: the state
    /// would change twice at each tick.
    pub fn is_pulling(&self) -> bool {
        self.image == Image::Pulling && !self.is_waiting_for_room()
    }

    fn is_waiting_for_room(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| {
            trouble.about == About::Preparing && trouble.code == Code::DiskFull && trouble.retry_at.is_none()
        })
    }

    pub fn tick(&mut self) {
        self.blocked = false;
    }

    /// The container could not be started, or ended.
    pub fn start_failed(&mut self, code: Code, message: String, now: Moment, dice: Dice) {
        self.starts.failed(code, now, dice);
        let loops = code == Code::Exited && self.starts.failures() >= CRASH_LOOP;
        let code = if loops { Code::CrashLoop } else { code };
        let retry_at = self.starts.retry_at();
        self.trouble = Some(Trouble { about: About::Running, code, message, retry_at });
    }

    /// The successor could not be prepared.
    pub fn prepare_failed(&mut self, code: Code, message: String, now: Moment, dice: Dice) {
        self.prepares.failed(code, now, dice);
        let retry_at = self.prepares.retry_at();
        self.trouble = Some(Trouble { about: About::Preparing, code, message, retry_at });
    }

    /// What is in the way could not be cleared.
    pub fn clear_failed(&mut self, code: Code, message: String, now: Moment, dice: Dice) {
        self.clears.failed(code, now, dice);
        let retry_at = self.clears.retry_at();
        self.trouble = Some(Trouble { about: About::Clearing, code, message, retry_at });
    }

    /// The successor is there.
    pub fn prepared(&mut self) {
        self.prepares.forget();
        self.progress = None;
        self.no_trouble(About::Preparing);
    }

    /// What was in the way is cleared.
    pub fn cleared(&mut self) {
        self.clears.forget();
        self.no_trouble(About::Clearing);
    }

    fn is_troubled(&self, about: About) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.about == about)
    }

    fn no_trouble(&mut self, about: About) {
        self.trouble.take_if(|trouble| trouble.about == about);
    }

    /// Since when the container in service is seen alive.
    pub fn alive_since(&self) -> Option<Moment> {
        self.alive.as_ref().map(|alive| alive.since)
    }

    /// A crash loop is believed to be over only after the container lived for a while; then somebody
    /// has to look again.
    pub fn doubted_until(&self) -> Option<Moment> {
        let alive = self.alive.as_ref()?;
        let is_doubted = self.is_troubled(About::Running) && !self.is_doubted_by_its_check();
        is_doubted.then(|| alive.since + BELIEVED_AFTER)
    }
}

fn left_down(code: i64) -> String {
    format!("the container exited with code {code}, and its restart policy leaves it so")
}

fn said_last(words: &str) -> String {
    format!("; it said last: {words}")
}

mod health;
mod jobs;
