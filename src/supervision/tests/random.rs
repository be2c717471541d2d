//! Random schedules of crashes, requests and pauses: what is shown is what happened.
use super::toy::{Log, PATIENT, Toys, Tree, calm, crash, panics, run, toy, until};
use crate::supervision::Strategy as Sharing;
use fleet_contracts::commands::ActorState;
use proptest::prelude::*;
use std::time::Duration;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
enum Step {
    Fault(usize),
    Panic(usize),
    Kill(usize),
    Restart(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..NAMES.len();
    let step = prop_oneof![
        who.clone().prop_map(Step::Fault),
        who.clone().prop_map(Step::Panic),
        who.clone().prop_map(Step::Kill),
        who.prop_map(Step::Restart),
        (0..40_000u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..40)
}

/// Crashes that were heard of, per child, and starts of all.
async fn play(strategy: Sharing, steps: Vec<Step>) -> (Tree, u32) {
    let (log, at) = (Log::default(), NAMES.map(|_| Toys::new()));
    let children = NAMES.iter().zip(&at).map(|(name, at)| toy(name, &log, at)).collect();
    let tree = run(strategy, PATIENT, children, log).await;
    let mut crashes = 0;
    for step in steps {
        match step {
            Step::Fault(who) => crashes += u32::from(crash(&at[who])),
            Step::Panic(who) => crashes += u32::from(panics(&at[who])),
            Step::Kill(who) => {
                // Only one that is up can be killed.
                let up = tree.actor(&format!("t/{}", NAMES[who])).state == ActorState::Running;
                at[who].kill();
                crashes += u32::from(up);
            }
            Step::Restart(who) => drop(tree.board.restart(NAMES[who]).await.unwrap()),
            Step::Pass(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
        calm().await;
    }
    until("all up", || tree.board.actors().iter().all(|actor| actor.state == ActorState::Running)).await;
    (tree, crashes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counts_match_any_schedule(one_for_one in any::<bool>(), steps in steps()) {
        let strategy = match one_for_one {
            true => Sharing::OneForOne,
            false => Sharing::RestForOne,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (tree, crashes) = play(strategy, steps).await;
            prop_assert_eq!(tree.actor("t").budget.unwrap().used, crashes);
            for name in NAMES {
                let shown = tree.actor(&format!("t/{name}"));
                let ups = tree.log.count(&format!("up {name}"));
                prop_assert_eq!(shown.restarts + 1, ups as u64, "restarts of {}", name);
                prop_assert_eq!(tree.log.count(&format!("gone {name}")), ups - 1, "one of {} lives", name);
            }
            Ok(())
        })?;
    }
}
