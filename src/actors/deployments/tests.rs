use super::*;
use crate::actors::tests::{Heard, device, document, pass, probe, reconcilers, run, settle, web};
use crate::domain::source::{Entry, Incarnation, Operation};
use crate::messages::deployments::Question;
use crate::store::fake::{Fail, FakeLedger, FakeOwner};
use crate::supervision::{Root, worker};
use fleet_contracts::state::{Code, DeploymentState, Phase};
use std::io::ErrorKind;

struct Office {
    root: Root,
    me: Address<Message>,
    store: Arc<FakeLedger>,
    directory: Keyed<DeploymentName, Reconciler>,
    reconciler: Heard<Reconciler>,
    reporter: Heard<Reporter>,
    kv_watcher: Heard<KvWatcher>,
}

async fn office(store: FakeLedger) -> Office {
    office_of(Arc::new(store), Blamed::default()).await
}

async fn office_of(store: Arc<FakeLedger>, blamed: Blamed) -> Office {
    let (directory, me) = (Keyed::new(), Address::new());
    let (reporter, kv_watcher) = (Address::new(), Address::new());
    let (one, reconciler) = reconcilers(&directory);
    let (two, reporter_heard) = probe("reporter", &reporter);
    let (three, kv_watcher_heard) = probe("kv_watcher", &kv_watcher);
    let args = Args {
        device: device(),
        store: store.clone(),
        ownership: OwnershipView::new(Arc::new(FakeOwner::new(true))),
        reconcilers: directory.clone(),
        reporter,
        kv_watcher,
        observer: Address::new(),
        effects: Address::new(),
        runtime_enabled: true,
        reading: reading(Default::default()),
        blamed,
        hold: None,
        clock: Clock::start(),
    };
    let root = run(vec![one, two, three, worker::<Deployments>("me", "", args, me.clone())]).await;
    settle().await;
    let (reporter, kv_watcher) = (reporter_heard, kv_watcher_heard);
    Office { root, me, store, directory, reconciler, reporter, kv_watcher }
}

fn entry(revision: u64) -> Entry {
    let written_at = Timestamp::from_unix_seconds(1_800_000_000 + i64::try_from(revision).unwrap()).unwrap();
    Entry { key: "d1.web".into(), revision, written_at, operation: Operation::Put(document("demo:1").into()) }
}

fn snapshot(entries: Vec<Entry>) -> Message {
    let last_sequence = entries.iter().map(|entry| entry.revision).max().unwrap_or(0);
    let incarnation = Incarnation("i".into());
    Message::Source(SourceNews::Snapshot(Snapshot { incarnation, last_sequence, entries }))
}

fn wanted(message: Reconciler) -> Option<u64> {
    match message {
        Reconciler::Want(wanted) => Some(wanted.revision),
        _ => None,
    }
}

fn state(message: Reporter) -> Option<DeploymentState> {
    match message {
        Reporter::State(state) => Some(*state),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_wanted_of_a_reconciler_before_it_is_on_disk() {
    let mut office = office(FakeLedger::default()).await;
    for _ in 0..8 {
        office.store.fail_next(Fail::Before(ErrorKind::StorageFull));
    }
    office.me.send(snapshot(vec![entry(1)]));
    pass(30).await;
    assert!(office.reconciler.all().into_iter().all(|message| wanted(message).is_none()));
    assert!(office.reporter.all().into_iter().filter_map(state).all(|s| s.observed_revision.is_none()));
    assert!(office.store.journal().is_empty());
    pass(60).await;
    office.me.send(Message::Child(web(), ChildNews::Started));
    assert_eq!(office.reconciler.next(wanted).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_reconciler_may_look_while_the_disk_works_and_is_told_nothing() {
    let mut office = office(FakeLedger::default()).await;
    office.store.fail_next(Fail::Before(ErrorKind::StorageFull));
    office.me.send(snapshot(vec![entry(1)]));
    settle().await;
    assert_eq!(office.directory.keys(), [web()]);
    office.me.send(Message::Child(web(), ChildNews::Started));
    settle().await;
    assert_eq!(office.directory.keys(), [web()], "it is not retired");
    assert!(office.reconciler.all().into_iter().all(|message| wanted(message).is_none()));
    assert!(office.store.journal().is_empty());
    assert_eq!(office.reconciler.next(wanted).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_one_reads_the_ledger_and_has_everybody_tell_again() {
    let mut office = office(FakeLedger::default()).await;
    office.me.send(snapshot(vec![entry(1)]));
    pass(1).await;
    office.reconciler.all();
    office.kv_watcher.all();
    office.root.board().restart("me").await.unwrap();
    office.reconciler.next(|message| matches!(message, Reconciler::Retell).then_some(())).await;
    office.kv_watcher.next(|message| matches!(message, KvWatcher::Resnapshot).then_some(())).await;
    office.me.send(Message::Child(web(), ChildNews::Started));
    assert_eq!(office.reconciler.next(wanted).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_that_nobody_wants_is_retired() {
    let office = office(FakeLedger::default()).await;
    office.directory.ensure(web());
    office.me.send(Message::Child(web(), ChildNews::Started));
    pass(1).await;
    assert_eq!(office.directory.keys(), []);
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_an_unknown_bucket_asks_for_a_snapshot() {
    let mut office = office(FakeLedger::default()).await;
    office.kv_watcher.all();
    office.me.send(Message::Source(SourceNews::Hints(vec![entry(1)])));
    office.kv_watcher.next(|message| matches!(message, KvWatcher::Resnapshot).then_some(())).await;
    assert!(office.store.journal().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_forgotten_only_when_nothing_is_left() {
    let mut office = office(FakeLedger::default()).await;
    office.me.send(snapshot(vec![entry(1)]));
    pass(1).await;
    let marker = Entry { operation: Operation::Removed, ..entry(2) };
    office.me.send(Message::Source(SourceNews::Hints(vec![marker])));
    office.reconciler.next(|message| matches!(message, Reconciler::Vanish).then_some(())).await;
    pass(600).await;
    assert_eq!(office.directory.keys(), [web()]);
    office.me.send(Message::Child(web(), ChildNews::Gone));
    office.reporter.next(|message| matches!(message, Reporter::Gone(_)).then_some(())).await;
    assert_eq!(office.directory.keys(), []);
}

fn accepted(message: Reporter) -> Option<DeploymentState> {
    state(message).filter(|state| state.observed_revision == Some(1))
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_that_is_given_up_puts_its_document_in_quarantine_until_it_is_restarted() {
    let mut office = office(FakeLedger::default()).await;
    office.me.send(snapshot(vec![entry(1)]));
    office.reporter.next(accepted).await;
    office.me.send(Message::Child(web(), ChildNews::Started));
    assert_eq!(office.reconciler.next(wanted).await, 1);
    office.me.send(Message::Child(web(), ChildNews::Parked("panic: why".into())));
    let failed = |message| state(message).filter(|state| state.phase == Phase::Failed);
    let error = office.reporter.next(failed).await.last_error.unwrap();
    assert_eq!(error.code, Code::Quarantined);
    assert!(error.message.contains("panic: why"), "{}", error.message);
    // An operator restarts the actor.
    office.me.send(Message::Child(web(), ChildNews::Started));
    assert_eq!(office.reconciler.next(wanted).await, 1);
    let well = |message| state(message).filter(|state| state.last_error.is_none());
    office.reporter.next(well).await;
}

#[tokio::test(start_paused = true)]
async fn the_deployment_that_ended_the_process_is_counted_on_disk_before_it_is_acted_on() {
    let mut first = office(FakeLedger::default()).await;
    first.me.send(snapshot(vec![entry(1)]));
    first.reporter.next(accepted).await;
    let blamed = Blamed::new(Some((web(), "aborted by SIGABRT".into())));
    let mut second = office_of(first.store.clone(), blamed).await;
    let duties = async || {
        let asked = second
            .me
            .ask(|reply| Message::Ask(Question::Reconcile(None, reply)), Duration::from_secs(5))
            .await;
        asked.ok().flatten().unwrap_or_default()
    };
    while duties().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    second.me.send(Message::Child(web(), ChildNews::Started));
    assert_eq!(second.reconciler.next(wanted).await, 1);
    assert_eq!(first.store.load().unwrap().records[0].trial.ends, 1);
}

/// Two documents that end the process would else take the count from each other, for ever.
#[tokio::test(start_paused = true)]
async fn nothing_is_acted_on_before_an_end_is_counted() {
    let mut first = office(FakeLedger::default()).await;
    let other = Entry { key: "d1.other".into(), ..entry(2) };
    first.me.send(snapshot(vec![entry(1), other]));
    first.reporter.next(accepted).await;
    pass(60).await;
    let blamed = Blamed::new(Some((web(), "aborted".into())));
    let second = office_of(first.store.clone(), blamed).await;
    while second.directory.keys().is_empty() {
        settle().await;
    }
    let web_record = first.store.load().unwrap().records.into_iter().find(|record| record.name == web());
    assert_eq!(web_record.map(|record| record.trial.ends), Some(1), "before anybody has a duty");
}
