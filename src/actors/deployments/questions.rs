//! What others ask, and what operators want.
use super::*;
use crate::domain::book::NotConfirmed;
use crate::messages::deployments::{Overview, Question};

impl Deployments {
    pub(super) fn on_question(&mut self, question: Question) {
        match question {
            Question::Overview(reply) => reply.send(self.overview()),
            Question::Confirm(names, reply) => reply.send(self.confirm(&names)),
            Question::Reconcile(name, reply) => reply.send(self.reconcile(name)),
            Question::Retell => {
                let states = self.book.iter().flat_map(Book::states);
                states.for_each(|state| {
                    _ = self.args.reporter.send(Reporter::State(Box::new(state.clone())));
                });
                self.prune();
            }
            Question::MayCreateSource => {
                if self.book.as_ref().is_some_and(|book| !book.has_followed()) {
                    self.args.kv_watcher.send(KvWatcher::CreateSource);
                }
            }
        }
    }

    fn overview(&self) -> Overview {
        let book = self.book.as_ref();
        Overview {
            states: book.map(|book| book.states().cloned().collect()).unwrap_or_default(),
            counts: book.map(Book::counts).unwrap_or_default(),
            reasons: self.reasons.words(book, Hold::left(self.args.hold, self.args.clock).is_some()),
        }
    }

    fn confirm(&mut self, names: &[DeploymentName]) -> Result<Vec<DeploymentName>, NotConfirmed> {
        let book = self.book.as_mut().ok_or(NotConfirmed::Starting)?;
        let records = book.confirm(names)?;
        self.room_was_made();
        records.into_iter().for_each(|record| self.writes.push(Write::Save(record)));
        Ok(names.to_vec())
    }

    fn reconcile(&mut self, name: Option<DeploymentName>) -> Option<Vec<DeploymentName>> {
        let book = self.book.as_ref()?;
        if let Some(name) = name.as_ref().filter(|name| book.is_quarantined(name) || book.is_shunned(name)) {
            self.release(name);
            // A document that was never accepted is only in the bucket.
            self.args.kv_watcher.send(KvWatcher::Resnapshot);
            return Some(vec![name.clone()]);
        }
        let all: Vec<DeploymentName> = book.duties().cloned().collect();
        let chosen = match name {
            Some(name) => vec![all.into_iter().find(|known| *known == name)?],
            None => all,
        };
        self.args.observer.send(Observer::Relist);
        Some(chosen)
    }
}
