//! What is known of the end of a job.
use super::*;
use crate::domain::jobs::End;

impl Memory {
    /// How the job of this spec ended, if it did.
    pub fn end_of(&self, target: &Target) -> Option<&End> {
        let is_job = target.service.restart == Restart::Never;
        self.end.as_ref().filter(|end| is_job && end.digest == target.digest)
    }

    /// What is to be noted of it.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// What was noted of the job of this very spec.
    pub fn recall(&mut self, target: &Target, noted: Option<&End>) {
        self.end = noted.filter(|end| end.digest == target.digest).cloned();
        self.tell_of_the_end(target);
    }

    pub(super) fn job_ended(&mut self, target: &Target, code: i64) {
        let is_known = self.end_of(target).is_some_and(|end| end.code == code);
        if target.service.restart == Restart::Never && !is_known {
            self.end = Some(End { digest: target.digest.clone(), code, said: None });
        }
    }

    /// Its container is not there, or podman forgot that it ran: what was noted is what can be told.
    pub(super) fn tell_of_the_end(&mut self, target: &Target) {
        let Some(end) = self.end_of(target).filter(|end| end.code != 0 && self.trouble.is_none()) else {
            return;
        };
        let said = end.said.as_deref().map(said_last).unwrap_or_default();
        self.trouble = Some(Trouble {
            about: About::Running,
            code: Code::Exited,
            message: left_down(end.code) + &said,
            retry_at: None,
        });
    }
}
