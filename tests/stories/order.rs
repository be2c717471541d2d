//! Services that depend on each other.
use crate::documents::document;
use crate::harness::{Story, seconds};
use fleet_agent::runtime::Run;
use fleet_agent::runtime::fake::{Program, Registry};
use fleet_contracts::state::{Code, Phase, ServicePhase};
use serde_json::{Value, json};

fn on(service: &str, condition: &str) -> Value {
    json!([{"service": service, "condition": condition}])
}

/// `web` waits for `api`, and `api` for `db`, with these images.
fn chain(image: &str) -> Vec<u8> {
    document(json!([
        {"name": "web", "image": image, "depends_on": on("api", "started")},
        {"name": "api", "image": image, "depends_on": on("db", "started")},
        {"name": "db", "image": image}]))
}

/// What happened to containers in this way, by service.
fn order_of(story: &Story, verb: &str) -> Vec<String> {
    let of = |line: &String| Some(line.strip_prefix(verb)?.split_whitespace().next()?.to_owned());
    let all = story.runtime.journal();
    all.iter().filter_map(of).map(|name| name.rsplit('.').next().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn services_start_after_what_they_depend_on_and_stop_before_it() {
    let story = Story::begin().await;
    story.apply_and_run("shop", chain("demo:1")).await;
    assert_eq!(order_of(&story, "start "), ["db", "api", "web"]);
    story.delete("shop");
    story.until("it is gone", |s| s.runtime.containers().is_empty()).await;
    assert_eq!(order_of(&story, "signal "), ["web", "api", "db"]);
}

#[tokio::test(start_paused = true)]
async fn the_order_of_stopping_holds_after_a_restart_of_the_agent() {
    let mut story = Story::begin().await;
    story.runtime.add_image_with("slow:1", Program::deaf().on("SIGTERM", seconds(5), 0));
    story.apply_and_run("shop", chain("slow:1")).await;
    story.delete("shop");
    story.until("the first is asked to stop", |s| !order_of(s, "signal ").is_empty()).await;
    story.crash().await;
    story.boot().await;
    story.until("it is gone", |s| s.runtime.containers().is_empty()).await;
    let mut stops = order_of(&story, "signal ");
    stops.dedup();
    assert_eq!(stops, ["web", "api", "db"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_replaces_services_in_their_order_and_each_serves_until_its_turn() {
    let story = Story::begin().await;
    story.apply_and_run("shop", chain("demo:1")).await;
    story.runtime.registry("late:1", Registry::has_slowly(Program::polite(), 10, seconds(1)));
    let services = json!([
        {"name": "web", "image": "demo:2", "depends_on": on("api", "started")},
        {"name": "api", "image": "demo:2", "depends_on": on("db", "started")},
        {"name": "db", "image": "late:1"}]);
    let began = order_of(&story, "start ").len();
    let revision = story.apply("shop", document(services));
    story.until("the image is being pulled", |s| s.phase("shop") == Some(Phase::Pulling)).await;
    let pids = story.pids();
    story
        .always(seconds(8), "all serve meanwhile", |s| {
            pids.iter().all(|(name, pid)| {
                s.runtime.containers().iter().any(|c| c.name == *name) && s.pids().values().any(|p| p == pid)
            })
        })
        .await;
    story.runs("shop", revision).await;
    assert_eq!(order_of(&story, "start ")[began..], ["db", "api", "web"].map(String::from));
}

#[tokio::test(start_paused = true)]
async fn a_service_under_a_new_name_gets_the_port_of_the_old_one() {
    let story = Story::begin().await;
    let with_db = |name: &str| {
        document(json!([
            {"name": "web", "image": "demo:1", "depends_on": on(name, "started")},
            {"name": name, "image": "demo:1", "ports": ["5432:5432"]}]))
    };
    story.apply_and_run("shop", with_db("db")).await;
    let revision = story.apply("shop", with_db("pg"));
    story.runs("shop", revision).await;
    assert_eq!(story.live(), ["fleet-shop.pg", "fleet-shop.web"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_while_an_update_waits_for_an_image_comes_back() {
    for condition in ["started", "healthy"] {
        let story = Story::begin().await;
        let with_db = |image: &str| {
            document(json!([
                {"name": "web", "image": "demo:1", "depends_on": on("db", condition)},
                {"name": "db", "image": image, "healthcheck": {"test": ["CMD", "ready"]}}]))
        };
        story.apply_and_run("shop", with_db("demo:1")).await;
        story.apply("shop", with_db("missing:1"));
        story.until("the image is missing", |s| s.code("shop") == Some(Code::ImagePull)).await;
        story.runtime.kill("fleet-shop.web");
        story.within(seconds(2), "it is back", |s| s.runtime.pid("fleet-shop.web").is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_job_starts_when_it_is_done_and_never_when_it_failed() {
    let story = Story::begin().await;
    story.runtime.add_image_with("good:1", Program::exits(seconds(5), 0));
    story.runtime.add_image_with("bad:1", Program::exits(seconds(5), 3));
    let with_job = |image: &str| {
        document(json!([
            {"name": "web", "image": "demo:1", "depends_on": on("job", "completed")},
            {"name": "job", "image": image, "restart": "never"}]))
    };
    let good = story.apply("good", with_job("good:1"));
    story.apply("bad", with_job("bad:1"));
    story.always(seconds(4), "it waits", |s| s.runtime.pid("fleet-good.web").is_none()).await;
    story.runs("good", good).await;
    let services = story.state("good").unwrap().services;
    let phases: Vec<_> = services.values().map(|service| service.phase).collect();
    assert_eq!(phases, [ServicePhase::Completed, ServicePhase::Running], "job, web");
    story.until("it failed", |s| s.phase("bad") == Some(Phase::Failed)).await;
    let error = story.state("bad").unwrap().last_error.unwrap();
    assert!(error.message.ends_with("; web waits for it"), "{error:?}");
    story.always(seconds(600), "it waits", |s| s.runtime.pid("fleet-bad.web").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_health_starts_when_the_check_passes() {
    let story = Story::begin().await;
    let services = json!([
        {"name": "web", "image": "demo:1", "depends_on": on("db", "healthy")},
        {"name": "db", "image": "demo:1",
         "healthcheck": {"test": ["CMD", "ready"], "interval_s": 10, "start_period_s": 600}}]);
    story.runtime.set_run("fleet-shop.db", Run::Ended { code: 1, said: "no".into() });
    let revision = story.apply("shop", document(services));
    story.until("the first runs", |s| s.runtime.pid("fleet-shop.db").is_some()).await;
    story.always(seconds(60), "it waits", |s| s.runtime.pid("fleet-shop.web").is_none()).await;
    story.runtime.set_run("fleet-shop.db", Run::Ended { code: 0, said: String::new() });
    story.within(seconds(6), "it starts", |s| s.runtime.pid("fleet-shop.web").is_some()).await;
    story.runs("shop", revision).await;
}
