//! What a slot remembers of its health.
use super::*;

impl Memory {
    /// A new run of the container is a new beginning.
    pub(super) fn observe_health(&mut self, target: &Target, view: &View, now: Moment) {
        let main = view.main.as_ref().filter(|main| target.digest_is(main));
        let process = main.and_then(|main| match main.status {
            Status::Running(process) => Some(process),
            _ => None,
        });
        let process = process.filter(|_| target.service.healthcheck.is_some());
        let is_same = |health: &Health| process.is_some_and(|process| health.is_of(process));
        if !self.health.as_ref().is_some_and(is_same) {
            self.health = process.map(|process| Health::new(process, now));
        }
    }

    /// None: it has no check, or does not run.
    pub fn health(&self) -> Option<state::Health> {
        self.health.as_ref().map(Health::word)
    }

    /// When the service is to be checked next.
    pub fn check_at(&self) -> Option<Moment> {
        self.health.as_ref().map(Health::next)
    }

    /// Takes what a check of this process found.
    pub fn checked(&mut self, process: Process, verdict: Verdict, target: &Target, now: Moment, dice: Dice) {
        let Some(check) = &target.service.healthcheck else { return };
        let Some(health) = self.health.as_mut().filter(|health| health.is_of(process)) else { return };
        let became_unhealthy = health.checked(verdict, check, now);
        let is_well = health.word() == state::Health::Healthy;
        if let Some(why) = became_unhealthy {
            self.unhealthy(why, target, now, dice);
        } else if is_well && self.trouble.as_ref().is_some_and(|trouble| trouble.code == Code::Unhealthy) {
            self.trouble = None;
        }
    }

    /// The check could not be run: it is tried again at its next time.
    pub fn not_checked(&mut self, target: &Target, now: Moment) {
        if let (Some(health), Some(check)) = (&mut self.health, &target.service.healthcheck) {
            health.checked(Verdict::NotRun, check, now);
        }
    }

    /// Counted as a failed start: the restart waits as one after an exit does. A job is not restarted.
    fn unhealthy(&mut self, why: String, target: &Target, now: Moment, dice: Dice) {
        self.start_failed(Code::Unhealthy, why, now, dice);
        if let (Restart::Never, Some(trouble)) = (target.service.restart, &mut self.trouble) {
            trouble.retry_at = None;
        }
    }

    /// A container that failed its check is doubted until the check passes, or until it runs without one.
    pub(super) fn is_doubted_by_its_check(&self) -> bool {
        self.health.is_some() && self.trouble.as_ref().is_some_and(|trouble| trouble.code == Code::Unhealthy)
    }

    pub fn is_unhealthy(&self, process: Process) -> bool {
        let of = self.health.as_ref().filter(|health| health.is_of(process));
        of.is_some_and(|health| health.word() == state::Health::Unhealthy)
    }

    /// It is being stopped because of its health: its exit is no failure of its own.
    pub fn restart_begun(&mut self) {
        (self.alive, self.restart_owed) = (None, true);
    }

    pub fn is_restart_owed(&self) -> bool {
        self.restart_owed
    }
}
