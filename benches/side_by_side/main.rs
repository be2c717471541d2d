//! The agent beside the bare operations, on a real podman and a real nats-server, in one run. `scripts/bench` calls
//! it; docs/performance.md tells what is measured, and how.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // A failed assumption ends the measurement.

mod agent;
mod bare;
mod figures;
mod idle;
mod pairs;

#[path = "../../tests/support/nats_world.rs"]
mod nats_world;
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
    pub idle: Duration,
}

const FULL: Size = Size { pairs: 15, crowd: 50, crowd_pairs: 5, idle: Duration::from_secs(120) };
const QUICK: Size = Size { pairs: 3, crowd: 6, crowd_pairs: 1, idle: Duration::from_secs(10) };

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program =
        PathBuf::from(arguments.next().expect("usage: side_by_side PROGRAM [--quick] [--page FILE]"));
    let rest: Vec<String> = arguments.collect();
    let size = if rest.iter().any(|word| word == "--quick") { QUICK } else { FULL };
    let page = rest.iter().position(|word| word == "--page").map(|at| PathBuf::from(&rest[at + 1]));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let figures = runtime.block_on(measure(program, &size));
    println!("\n{}", figures.table());
    if let Some(page) = page {
        figures.write_into(&page);
    }
}

async fn measure(program: PathBuf, size: &Size) -> Page {
    let mut page = Page::new(&program, size);
    let mut bench = Bench::new(program).await;
    pairs::put_to_running(&mut bench, size, &mut page).await;
    pairs::killed_to_running(&mut bench, size, &mut page).await;
    pairs::a_crowd_at_once(&mut bench, size, &mut page).await;
    idle::with(&mut bench, 1, size, &mut page).await;
    idle::with(&mut bench, size.crowd, size, &mut page).await;
    idle::adoption(&mut bench, size, &mut page).await;
    page
}
