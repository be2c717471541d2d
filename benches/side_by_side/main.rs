//! The agent beside the bare operations, on a real podman and a real nats-server, in one run. `scripts/bench` calls
//! it; docs/performance.md tells what is measured, and how.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // A failed assumption ends the measurement.

mod agent;
mod bare;
mod costs;
mod crash_loop;
mod criterion;
mod effort;
mod figures;
mod idle;
mod pairs;
mod update;

#[path = "../../tests/support/nats_world.rs"]
mod nats_world;
#[path = "../../tests/support/podman_proxy.rs"]
mod podman_proxy;
#[path = "../../tests/support/podman_world.rs"]
mod podman_world;

use agent::Bench;
use figures::Page;
use std::path::PathBuf;
use std::time::Duration;

/// How much is measured.
pub struct Size {
    pub pairs: usize,
    pub crowd: usize,
    pub crowd_pairs: usize,
    /// How often the agent's side of a put is taken apart, behind a proxy.
    pub efforts: usize,
    /// Four ticks of 30 s, so that a list at the edge makes no great difference.
    pub idle: Duration,
    /// How often adoption is measured.
    pub adoptions: usize,
}

const FULL: Size =
    Size { pairs: 15, crowd: 50, crowd_pairs: 15, efforts: 5, idle: Duration::from_secs(120), adoptions: 15 };
const QUICK: Size =
    Size { pairs: 3, crowd: 6, crowd_pairs: 1, efforts: 2, idle: Duration::from_secs(10), adoptions: 2 };
const USAGE: &str = "usage: side_by_side PROGRAM [--quick] [--only PART,PART] [--pairs N] [--crowd N] [--page FILE] \
                     [--criterion DIRECTORY]\nparts: put, kill, update, crowd, effort, loop, idle";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = PathBuf::from(arguments.next().expect(USAGE));
    let rest: Vec<String> = arguments.collect();
    let has = |word: &str| rest.iter().any(|found| found == word);
    let value = |word: &str| rest.iter().position(|found| found == word).map(|at| rest[at + 1].as_str());
    let mut size = if has("--quick") { QUICK } else { FULL };
    size.pairs = value("--pairs").map_or(size.pairs, |pairs| pairs.parse().expect(USAGE));
    size.crowd = value("--crowd").map_or(size.crowd, |crowd| crowd.parse().expect(USAGE));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut figures = Page::new(&program, &size);
    runtime.block_on(measure(program, &size, value("--only"), &mut figures));
    if let Some(results) = value("--criterion") {
        criterion::results(results.as_ref(), &mut figures);
    }
    println!("\n{}", figures.table());
    if let Some(page) = value("--page") {
        figures.write_into(page.as_ref());
    }
}

async fn measure(program: PathBuf, size: &Size, only: Option<&str>, page: &mut Page) {
    let wanted = |part: &str| only.is_none_or(|only| only.split(',').any(|named| named == part));
    let mut bench = Bench::new(program).await;
    if wanted("put") {
        pairs::put_to_running(&mut bench, size, page).await;
    }
    if wanted("kill") {
        pairs::killed_to_running(&mut bench, size, page).await;
    }
    if wanted("update") {
        update::gap_of_service(&mut bench, size, page).await;
    }
    if wanted("crowd") {
        pairs::a_crowd_at_once(&mut bench, size, page).await;
    }
    if wanted("effort") {
        effort::of_a_put(&mut bench, size, page).await;
    }
    if wanted("loop") {
        crash_loop::with_one(&mut bench, size, page).await;
    }
    if wanted("idle") {
        idle::podman_alone(&mut bench, size, page).await;
        idle::with(&mut bench, 1, size, page).await;
        idle::with(&mut bench, size.crowd, size, page).await;
        idle::adoption(&mut bench, size, page).await;
    }
}
