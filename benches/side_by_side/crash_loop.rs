//! What the agent costs while a container ends as soon as it is started.
use crate::Size;
use crate::agent::Bench;
use crate::costs::Costs;
use crate::figures::{Page, share};
use crate::pairs::gone;
use tokio::time::sleep;

/// From the put on: the first starts follow each other closely.
pub async fn with_one(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("one deployment in a crash loop for {:?} …", size.idle);
    let name = "loop";
    let (agent, podman) = (Costs::of(bench.pid()), Costs::of(bench.world.service_pid()));
    bench.put(name, bench.document(name, "echo up >> /told/$NAME; exit 1")).await;
    sleep(size.idle).await;
    let used = Costs::of(bench.pid()).since(agent).processor;
    let podman = Costs::of(bench.world.service_pid()).since(podman).processor;
    let starts = bench.words(name);
    let is_reached = used.as_secs_f64() < size.idle.as_secs_f64() * 0.01;
    let value = format!("{}, {starts} starts", share(used, size.idle));
    page.row("one in a crash loop, from its put on: processor", value, "", "under 1 %", is_reached);
    page.fact("one in a crash loop: podman's processor", share(podman, size.idle));
    gone(bench, name).await;
}
