//! The ledger's writes that are still to be made: one at a time, the latest per object.
use crate::domain::ledger::{Followed, Record};
use crate::messages::deployments::Write;
use fleet_contracts::DeploymentName;
use std::collections::{BTreeSet, VecDeque};

#[derive(Debug, Default)]
pub struct Writes {
    waiting: VecDeque<Write>,
    in_flight: Option<Write>,
    /// Objects whose last write failed; at most as many as there are.
    failing: BTreeSet<Object<DeploymentName>>,
}

/// What a write is of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Object<N> {
    Deployment(N),
    Followed,
    Images,
}

impl Object<&DeploymentName> {
    fn cloned(self) -> Object<DeploymentName> {
        match self {
            Object::Deployment(name) => Object::Deployment(name.clone()),
            Object::Followed => Object::Followed,
            Object::Images => Object::Images,
        }
    }
}

fn object(write: &Write) -> Object<&DeploymentName> {
    match write {
        Write::Save(Record { name, .. }) | Write::Forget(name) => Object::Deployment(name),
        Write::Followed(Followed { .. }) => Object::Followed,
        Write::Images(_) => Object::Images,
    }
}

impl Writes {
    /// Queues a write; a waiting one of the same object is replaced, so the queue is bounded by the
    /// number of objects. Which bucket is followed goes before all that waits: a record in whose place one comes that
    /// relies on it may wait already.
    pub fn push(&mut self, write: Write) {
        if self.in_flight.as_ref() == Some(&write) && !self.is_waiting(&write) {
            return;
        }
        if matches!(write, Write::Followed(_)) {
            self.waiting.retain(|waiting| object(waiting) != Object::Followed);
            return self.waiting.push_front(write);
        }
        match self.waiting.iter_mut().find(|waiting| object(waiting) == object(&write)) {
            Some(waiting) => *waiting = write,
            None => self.waiting.push_back(write),
        }
    }

    fn is_waiting(&self, write: &Write) -> bool {
        self.waiting.iter().any(|waiting| object(waiting) == object(write))
    }

    /// The next write to make, when none is being made.
    pub fn next(&mut self) -> Option<Write> {
        if self.in_flight.is_some() {
            return None;
        }
        self.in_flight = self.waiting.pop_front();
        self.in_flight.clone()
    }

    pub fn done(&mut self) {
        if let Some(write) = self.in_flight.take() {
            self.failing.remove(&object(&write).cloned());
        }
    }

    /// It was not made. A record that fails comes again after the others: it must not hold them up. Which bucket is
    /// followed comes first again: no record of a new one may be kept before that is, and none forgotten that tells how
    /// far it was acted on. Something newer that waits for the same object takes its place.
    pub fn failed(&mut self) {
        let Some(write) = self.in_flight.take() else { return };
        self.failing.insert(object(&write).cloned());
        let newer = self.waiting.iter().position(|waiting| object(waiting) == object(&write));
        match (write, newer) {
            (Write::Followed(failed), newer) => {
                let newer = newer.and_then(|at| self.waiting.remove(at));
                self.waiting.push_front(newer.unwrap_or(Write::Followed(failed)));
            }
            (Write::Save(_) | Write::Forget(_) | Write::Images(_), Some(_)) => {}
            (write @ (Write::Save(_) | Write::Forget(_) | Write::Images(_)), None) => {
                self.waiting.push_back(write)
            }
        }
    }

    /// Whether some object's last write failed.
    pub fn is_failing(&self) -> bool {
        !self.failing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forget(name: &str) -> Write {
        Write::Forget(name.parse().unwrap())
    }

    #[test]
    fn one_write_is_made_at_a_time_and_one_that_fails_does_not_hold_up_the_others() {
        let mut writes = Writes::default();
        writes.push(forget("a"));
        writes.push(forget("b"));
        assert_eq!(writes.next(), Some(forget("a")));
        assert_eq!(writes.next(), None);
        writes.failed();
        assert_eq!(writes.next(), Some(forget("b")));
        writes.done();
        assert!(writes.is_failing(), "a is still not written");
        assert_eq!(writes.next(), Some(forget("a")));
        writes.done();
        assert!(!writes.is_failing());
        assert_eq!(writes.next(), None);
    }

    /// No record of a new bucket is kept before it is known which bucket is followed.
    #[test]
    fn which_bucket_is_followed_comes_first_again() {
        let incarnation = crate::domain::source::Incarnation("i".into());
        let followed = Write::Followed(Followed::new(incarnation, 1));
        let mut writes = Writes::default();
        writes.push(followed.clone());
        writes.push(forget("a"));
        assert_eq!(writes.next(), Some(followed.clone()));
        writes.failed();
        assert_eq!(writes.next(), Some(followed));
    }

    /// A write of the same object that waits already, of the bucket before or not, gives its place to the new one.
    #[test]
    fn which_bucket_is_followed_overtakes_what_waits() {
        let incarnation = || crate::domain::source::Incarnation("i".into());
        let followed = |n| Write::Followed(Followed::new(incarnation(), n));
        let mut writes = Writes::default();
        ["a", "b"].into_iter().for_each(|name| writes.push(forget(name)));
        writes.push(followed(1));
        writes.push(forget("a"));
        writes.push(forget("c"));
        writes.push(followed(2));
        writes.push(forget("b"));
        let made = std::iter::from_fn(|| {
            let write = writes.next();
            writes.done();
            write
        });
        assert_eq!(made.collect::<Vec<_>>(), [followed(2), forget("a"), forget("b"), forget("c")]);
    }

    #[test]
    fn the_latest_write_of_an_object_wins() {
        let followed = |n| {
            let incarnation = crate::domain::source::Incarnation("i".into());
            Write::Followed(Followed::new(incarnation, n))
        };
        let mut writes = Writes::default();
        writes.push(followed(1));
        writes.push(followed(2));
        assert_eq!(writes.next(), Some(followed(2)));
        writes.push(forget("a"));
        writes.push(followed(3));
        writes.failed();
        assert_eq!(writes.next(), Some(followed(3)), "before what relies on it");
        writes.done();
        assert_eq!(writes.next(), Some(forget("a")));
        writes.done();
        assert_eq!(writes.next(), None);
    }
}
