//! What nobody works on is not read, and told as it is seen.
use super::*;
use crate::domain::container::{ContainerId, Process, Status};
use crate::domain::ledger::Fingerprint;
use fleet_contracts::state::ServicePhase;

fn container(id: &str, name: &str, status: Status) -> Container {
    Container {
        id: ContainerId::new(id),
        name: name.into(),
        deployment: super::name(),
        service: "a".parse().unwrap(),
        digest: None,
        secrets: None,
        depends_on: vec![],
        status,
        image_id: Some("image".into()),
        started_at: None,
    }
}

fn running() -> Status {
    Status::Running(Process { pid: 1, start_ticks: 1 })
}

/// A reader that nothing must be given.
fn no_reading() -> Reading {
    Reading {
        read: |name, _, _| Err(Unread::Broken(format!("{name} was read"))),
        shunned: Default::default(),
    }
}

fn quarantined() -> Record {
    let mut book = book(vec![]);
    put(&mut book, "a", 1);
    book.parked(&name(), "panic").unwrap()
}

#[test]
fn a_document_in_quarantine_is_not_read_and_nothing_is_told_before_somebody_looked() {
    let ledger = Ledger { records: vec![quarantined()], ..Ledger::default() };
    let mut next = book_of(ledger, no_reading());
    let at = Timestamp::from_unix_seconds(1_900_000_000).unwrap();
    assert_eq!((next.changes(at), next.counts().total), (vec![], 1));
    let seen = [
        container("1", "fleet-web.a", Status::Exited { code: 3 }),
        container("2", "fleet-web.a.old", running()),
    ];
    next.listed(&[(name(), seen.to_vec())].into(), &[name()].into());
    let state = state(&mut next);
    assert_eq!((state.phase, state.observed_revision), (Phase::Failed, Some(1)));
    assert_eq!(state.last_error.unwrap().code, Code::Quarantined);
    let service = &state.services[&"a".parse().unwrap()];
    // The one that runs answers for the service.
    assert_eq!((service.phase, service.container_id.as_deref()), (ServicePhase::Running, Some("2")));
    assert_eq!(state.container_ids.len(), 1);
    // Its bytes again: neither.
    let again = next.hint(&entry("a", 2)).unwrap().records.remove(0);
    assert_eq!(next.saved(again), None);
    assert_eq!(code(&mut next), Some(Code::Quarantined));
}

#[test]
fn what_is_gone_is_told_as_gone_and_what_has_a_reconciler_is_left_to_it() {
    let mut next = book(vec![quarantined()]);
    next.looked(&name(), &[container("1", "fleet-web.a", running())]);
    assert_eq!(state(&mut next).container_ids.len(), 1);
    // Somebody else told of it.
    next.listed(&BTreeMap::new(), &[name()].into());
    assert_eq!(state(&mut next).container_ids.len(), 1);
    next.listed(&BTreeMap::new(), &BTreeSet::new());
    assert_eq!(state(&mut next).services, BTreeMap::new());
    let mut working = book(vec![]);
    put(&mut working, "a", 1);
    working.looked(&name(), &[container("1", "fleet-web.a", running())]);
    assert_eq!((state(&mut working).phase, state(&mut working).services.len()), (Phase::Pending, 0));
}

#[test]
fn a_runtime_that_does_not_answer_does_not_keep_a_quarantine_from_being_told() {
    let mut next = book(vec![quarantined()]);
    next.blinded();
    assert_eq!(code(&mut next), Some(Code::Quarantined));
}

fn shunning(image: &str) -> Reading {
    let shunned = ((name(), Fingerprint::of(&document(image))), "aborted twice".to_owned());
    Reading { shunned: [shunned].into(), ..reading() }
}

#[test]
fn a_document_that_must_not_be_read_is_not_accepted_and_the_one_before_it_stays() {
    let record = put(&mut book(vec![]), "a", 1);
    let mut next = book_of(Ledger { records: vec![record], ..Ledger::default() }, shunning("b"));
    let judged = next.hint(&entry("b", 2)).unwrap();
    assert_eq!(
        (judged.records.len(), next.is_shunned(&name()), next.is_quarantined(&name())),
        (0, true, false)
    );
    assert!(next.duty(&name()).is_some());
    next.reported(&name(), told_running());
    let error = state(&mut next).last_error.unwrap();
    assert_eq!(error.code, Code::Quarantined);
    assert!(
        error.message.contains("revision 2") && error.message.contains("aborted twice"),
        "{}",
        error.message
    );
    assert!(next.release(&name()).is_some());
    assert_eq!(next.hint(&entry("b", 3)).unwrap().records.len(), 1);
}

#[test]
fn an_accepted_document_that_must_not_be_read_is_nobodys_duty_until_somebody_asks() {
    let record = put(&mut book(vec![]), "a", 1);
    let mut next = book_of(Ledger { records: vec![record], ..Ledger::default() }, shunning("a"));
    assert_eq!(next.duty(&name()), None);
    next.blinded();
    assert_eq!((code(&mut next), state(&mut next).observed_revision), (Some(Code::Quarantined), Some(1)));
    let record = next.release(&name()).unwrap();
    assert!(next.saved(record).is_some());
    assert_eq!(code(&mut next), None);
}
