use super::*;
use crate::actors::tests::{Heard, identity, probe, run, settle, web};
use crate::bus::fake::{FakeBus, Reply};
use crate::messages::deployments::Question;
use crate::supervision::worker;
use fleet_contracts::Timestamp;
use fleet_contracts::commands::{LogLevelReply, Verb};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::Layer;
use tracing_subscriber::{Layer as _, Registry, fmt};

struct Counter {
    bus: FakeBus,
    deployments: Heard<Deployments>,
    log: Layer<Targets, Registry>,
}

/// `deployments` hears what it is asked, and answers nothing.
async fn counter(prefix: &str) -> Counter {
    let (bus, deployments) = (FakeBus::new(), Address::new());
    let (log, layer, _) = LogFilter::new(None);
    let (child, heard) = probe("deployments", &deployments);
    let args = Args {
        identity: identity(),
        bus: Arc::new(bus.clone()),
        clock: Clock::start(),
        deployments,
        heartbeat: Address::new(),
        observer: Address::new(),
        reporter: Address::new(),
        board: Arc::default(),
        reply_prefixes: vec![prefix.into()],
        log,
    };
    bus.connect();
    run(vec![child, worker::<CommandServer>("command_server", "", args, Address::new())]).await;
    settle().await;
    Counter { bus, deployments: heard, log: layer }
}

fn code(reply: Option<Reply>) -> Option<u16> {
    reply.expect("it is answered").error.map(|(code, _)| code)
}

#[tokio::test(start_paused = true)]
async fn a_reply_subject_outside_of_the_allowed_ones_is_not_answered() {
    let counter = counter("_PRIVATE.").await;
    assert_eq!(counter.bus.request(Verb::Ping, "").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_command_acts_once_per_id_and_answers_again() {
    let mut counter = counter("_INBOX.").await;
    let request = r#"{"command_id": "7", "deployment": "web"}"#;
    let asking = tokio::spawn({
        let bus = counter.bus.clone();
        async move { bus.request(Verb::Reconcile, request).await }
    });
    let question = |message| match message {
        Deployments::Ask(Question::Reconcile(_, reply)) => Some(reply),
        _ => None,
    };
    let reply = counter.deployments.next(question).await;
    assert_eq!(code(counter.bus.request(Verb::Reconcile, request).await), Some(503), "it is being done");
    reply.send(Some(vec![web()]));
    let first = asking.await.unwrap();
    assert_eq!(counter.bus.request(Verb::Reconcile, request).await, first);
    assert!(counter.deployments.all().is_empty());
    let other = r#"{"command_id": "7", "deployment": "shop"}"#;
    assert_eq!(code(counter.bus.request(Verb::Reconcile, other).await), Some(409));
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_does_not_answer_is_told_as_a_deadline_or_not_ready() {
    let counter = counter("_INBOX.").await;
    assert!(matches!(code(counter.bus.request(Verb::Reconcile, "").await), Some(503 | 504)));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_or_nonsense_is_refused() {
    let counter = counter("_INBOX.").await;
    let large = format!(r#"{{"deployment": "{}"}}"#, "x".repeat(MAX_REQUEST));
    assert_eq!(code(counter.bus.request(Verb::Reconcile, large).await), Some(400));
    assert_eq!(code(counter.bus.request(Verb::Reconcile, "{").await), Some(400));
    assert_eq!(code(counter.bus.request(Verb::Ping, "").await), None, "and the next one is answered");
}

#[tokio::test(start_paused = true)]
async fn many_requests_that_hang_do_not_pile_up_and_the_rest_is_answered() {
    let counter = counter("_INBOX.").await;
    let ask = |verb| {
        let bus = counter.bus.clone();
        tokio::spawn(async move { bus.request(verb, "").await })
    };
    let hanging: Vec<_> = (0..2 * AT_ONCE).map(|_| ask(Verb::Reconcile)).collect();
    let ping = ask(Verb::Ping);
    for request in hanging {
        assert!(request.await.unwrap().is_some());
    }
    assert_eq!(code(ping.await.unwrap()), None);
}

fn logs_debug() -> bool {
    tracing::enabled!(tracing::Level::DEBUG)
}

#[tokio::test(start_paused = true)]
async fn a_changed_log_filter_comes_back_by_itself() {
    let counter = counter("_INBOX.").await;
    let lines = fmt::layer().with_writer(std::io::sink).with_filter(counter.log);
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
    let ask = async |body: &str| counter.bus.request(Verb::LogLevel, body.to_owned()).await;
    assert!(!logs_debug());
    let reply = ask(r#"{"filter": "debug", "for_s": 60}"#).await.unwrap();
    let reply: LogLevelReply = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reply.filter, "debug");
    assert!((58..=61).contains(&(reply.until.unix_seconds() - Timestamp::now().unix_seconds())));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(logs_debug());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!logs_debug());

    for refused in [r#"{"filter": "louder=x"}"#, "{}", r#"{"filter": "debug", "for_s": 86401}"#] {
        assert_eq!(code(ask(refused).await), Some(400), "{refused}");
        assert!(!logs_debug(), "{refused}");
    }
    ask(r#"{"filter": "debug"}"#).await;
    assert!(logs_debug());
    let back: LogLevelReply =
        serde_json::from_slice(&ask(r#"{"filter": "debug", "for_s": 0}"#).await.unwrap().body).unwrap();
    assert!(back.filter.contains("info"), "{}", back.filter);
    assert!(!logs_debug());
}
