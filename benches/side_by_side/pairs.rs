//! What the agent takes, beside what the bare operations take, in turns.
use crate::Size;
use crate::agent::{Bench, script};
use crate::bare::Bare;
use crate::figures::{Page, Sample};
use std::process::Command;
use std::time::Duration;
use tokio::time::Instant;

/// Workers that do the bare operations of a crowd.
const WORKERS: usize = 4;

pub async fn put_to_running(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("from a KV put to a running container, {} pairs …", size.pairs);
    let (mut agent, mut bare) = (Sample::default(), Sample::default());
    let mut podman = Bare::connect(&bench.world.socket()).await;
    for n in 0..size.pairs {
        let name = format!("put{n}");
        let document = bench.document(&name, &script());
        let begun = Instant::now();
        bench.put(&name, document).await;
        bench.told(&name, 1).await;
        agent.push(begun.elapsed());
        gone(bench, &name).await;

        let name = format!("bare-put{n}");
        let begun = Instant::now();
        podman.run(&name, &script(), &bench.diary()).await;
        bench.told(&name, 1).await;
        bare.push(begun.elapsed());
        bench.sweep_bare();
    }
    page.pair("KV put to container running, against network, create, start", &agent, &bare, 1.15);
}

pub async fn killed_to_running(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("from a killed container to a running one, {} pairs …", size.pairs);
    let (mut agent, mut bare) = (Sample::default(), Sample::default());
    let mut podman = Bare::connect(&bench.world.socket()).await;
    let mut deaths = Bare::connect(&bench.world.socket()).await.deaths().await;
    for n in 0..size.pairs {
        let name = format!("kill{n}");
        bench.put(&name, bench.document(&name, &script())).await;
        bench.until("it runs", async |b| b.running().await == 1).await;
        let took = killed(bench, &name, async || ()).await;
        agent.push(took);
        gone(bench, &name).await;

        let name = format!("bare-kill{n}");
        let id = podman.run(&name, &script(), &bench.diary()).await;
        bench.told(&name, 1).await;
        let took = killed(bench, &name, async || {
            deaths.of(&id).await;
            podman.start(&id).await;
        })
        .await;
        bare.push(took);
        bench.sweep_bare();
    }
    page.pair("container killed to running again, against podman's event and a start", &agent, &bare, 1.0);
}

/// Kills the container's process, lets `repair` run, and waits until it runs again.
async fn killed(bench: &Bench, name: &str, repair: impl AsyncFnOnce()) -> Duration {
    let pid = bench.world.podman(&["inspect", "--format", "{{.State.Pid}}", &format!("fleet-{name}.a")]);
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    repair().await;
    bench.told(name, 2).await;
    begun.elapsed()
}

pub async fn a_crowd_at_once(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("{} deployments at once, {} pairs …", size.crowd, size.crowd_pairs);
    let (mut agent, mut bare) = (Sample::default(), Sample::default());
    for n in 0..size.crowd_pairs {
        let names: Vec<String> = (0..size.crowd).map(|m| format!("crowd{n}-{m}")).collect();
        let begun = Instant::now();
        for name in &names {
            bench.put(name, bench.document(name, &script())).await;
        }
        for name in &names {
            bench.told(name, 1).await;
        }
        agent.push(begun.elapsed());
        for name in &names {
            bench.delete(name).await;
        }
        bench.until("all are gone", async |b| b.running().await == 0 && is_empty(b)).await;

        let names: Vec<String> = names.iter().map(|name| format!("bare-{name}")).collect();
        let begun = Instant::now();
        let workers = names.chunks(size.crowd.div_ceil(WORKERS)).map(|part| {
            let (part, socket, directory) = (part.to_vec(), bench.world.socket(), bench.diary());
            tokio::spawn(async move {
                let mut podman = Bare::connect(&socket).await;
                for name in part {
                    podman.run(&name, &script(), &directory).await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        for name in &names {
            bench.told(name, 1).await;
        }
        bare.push(begun.elapsed());
        bench.sweep_bare();
    }
    let what = format!("{} deployments at once, against {WORKERS} bare workers", size.crowd);
    page.pair(&what, &agent, &bare, 1.15);
}

/// Deletes it, and waits until no container is left.
pub async fn gone(bench: &Bench, name: &str) {
    bench.delete(name).await;
    bench.until("it is gone", async |b| is_empty(b)).await;
}

fn is_empty(bench: &Bench) -> bool {
    bench.world.podman(&["ps", "--all", "--quiet"]).is_empty()
}
