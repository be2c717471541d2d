//! The agent is killed at random moments while documents change at random.
use crate::device::Device;
use crate::documents::{deployment, script, with};
use crate::witness::{self, Witness};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const NAMES: [&str; 4] = ["d0", "d1", "d2", "d3"];
/// Longest time between two kills: some lives see an update through, most do not.
const LONGEST_LIFE_MS: u64 = 1500;

fn document(name: &str, mark: u8) -> Vec<u8> {
    let run = format!(": {}; trap 'exit 0' TERM; sleep 86400 & wait", witness::mark(name, "a"));
    deployment(&[with(script("a", &run), json!({"env": {"MARK": mark.to_string()}}))])
}

async fn lives_and_deaths(kills: u32) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let (witness, mut device) = (Witness::new(), Device::new().await);
    device.apply("still", document("still", 0)).await;
    let still = witness::live()["still.a"].clone();
    let mut wanted = BTreeMap::<String, u8>::from([("still.a".into(), 0)]);
    for kill in 0..kills {
        for _ in 0..dice.u8(1..4) {
            let name = *dice.choice(&NAMES).unwrap();
            if dice.u8(0..4) == 0 {
                println!("{kill}: delete {name}");
                device.operator.delete(name).await;
                wanted.remove(&format!("{name}.a"));
            } else {
                // Few marks: documents come back to what they were.
                let mark = dice.u8(1..4);
                println!("{kill}: put {name} {mark}");
                device.put(name, document(name, mark)).await;
                wanted.insert(format!("{name}.a"), mark);
            }
        }
        // That time passes is what is tested.
        tokio::time::sleep(Duration::from_millis(dice.u64(0..LONGEST_LIFE_MS))).await;
        device.crash();
        device.boot();
    }
    let wanted: BTreeMap<String, String> =
        wanted.into_iter().map(|(slot, mark)| (slot, mark.to_string())).collect();
    let names: Vec<String> = wanted.keys().map(|slot| format!("fleet-{slot}")).collect();
    let look = async || {
        let live: BTreeMap<String, String> = witness::live()
            .into_iter()
            .map(|(slot, pids)| {
                (slot, pids.iter().filter_map(|pid| witness::variable(*pid, "MARK")).collect())
            })
            .collect();
        let listed: Vec<String> = device.containers().into_keys().collect();
        let is_so = live == wanted && listed == names;
        is_so.then_some(()).ok_or_else(|| format!("wanted {wanted:?}, live {live:?}, listed {listed:?}"))
    };
    device.eventually(&format!("exactly what is wanted runs (seed {seed})"), look).await;
    device.heartbeat("it says so", |beat| beat["deployments"]["running"] == wanted.len()).await;
    assert_eq!(witness::live()["still.a"], still, "seed {seed}");
    witness.never_saw_two();
}

#[tokio::test]
async fn six_kills_while_documents_change_end_with_exactly_what_is_wanted() {
    lives_and_deaths(6).await;
}

mod long {
    #[tokio::test]
    async fn fifty_kills_while_documents_change_end_with_exactly_what_is_wanted() {
        super::lives_and_deaths(50).await;
    }
}
