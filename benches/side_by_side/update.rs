//! How long nobody serves while a service is updated.
use crate::Size;
use crate::agent::Bench;
use crate::bare::Bare;
use crate::figures::{Page, Sample};
use crate::pairs::gone;
use std::time::Duration;
use tokio::time::Instant;

/// The old one's last word is that it heard its stop signal; each start of one is a word too.
const SCRIPT: &str =
    "echo up >> /told/$NAME; trap 'echo down >> /told/$NAME; exit 0' TERM; sleep 86400 & wait";

pub async fn gap_of_service(bench: &mut Bench, size: &Size, page: &mut Page) {
    println!("the gap of service of an update, {} pairs …", size.pairs);
    let (mut agent, mut bare) = (Sample::default(), Sample::default());
    let mut podman = Bare::connect(&bench.world.socket()).await;
    for n in 0..size.pairs {
        let name = format!("update{n}");
        bench.put(&name, bench.document(&name, SCRIPT)).await;
        bench.until("it runs", async |b| b.running().await == 1).await;
        // Another environment: of a variable that the script does not look at.
        let changed = bench.put(&name, bench.document_with(&name, SCRIPT, "2"));
        let (took, ()) = tokio::join!(gap(bench, &name), changed);
        agent.push(took);
        gone(bench, &name).await;

        let name = format!("bare-update{n}");
        let old = podman.run(&name, SCRIPT, &bench.diary()).await;
        bench.told(&name, 1).await;
        let new = podman.create(&name, &format!("fleet-{name}.next"), SCRIPT, &bench.diary()).await;
        let by_hand = async {
            podman.stop(&old).await;
            podman.start(&new).await;
        };
        let (took, ()) = tokio::join!(gap(bench, &name), by_hand);
        bare.push(took);
        bench.sweep_bare();
    }
    let what = "gap of service of an update, against stop and start of one that is prepared";
    page.pair(what, &agent, &bare, 1.15);
}

/// From the second word, which is the old one's last, to the third, which is the new one's first.
async fn gap(bench: &Bench, name: &str) -> Duration {
    bench.told(name, 2).await;
    let down = Instant::now();
    bench.told(name, 3).await;
    down.elapsed()
}
