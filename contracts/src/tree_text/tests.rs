use super::{Line, branches, draw};

const DRAWING: &str = "\
fleet-agent                  one_for_one    5 in 300 s   then exit 70, systemd restarts the process
├─ ownership                 holds the state-directory lock: owner or standby
├─ runtime                   rest_for_one   4 in 120 s
│  ├─ effects                one lane per deployment; owns operations in flight
│  └─ observer               relists; listens to the runtime's event stream as a hint
├─ reconcilers               keyed          4 in 600 s per child, then that one is parked
│  └─ <deployment>
├─ deployments               owns the ledger: what should run
└─ link                      one_for_one    8 in 300 s   then parked 300 s and tried again
   ├─ kv_watcher
   ├─ reporter
   ├─ heartbeat
   └─ command_server
";

fn agent() -> Vec<Line> {
    vec![
        Line::new(0, "fleet-agent", "one_for_one    5 in 300 s   then exit 70, systemd restarts the process"),
        Line::new(1, "ownership", "holds the state-directory lock: owner or standby"),
        Line::new(1, "runtime", "rest_for_one   4 in 120 s"),
        Line::new(2, "effects", "one lane per deployment; owns operations in flight"),
        Line::new(2, "observer", "relists; listens to the runtime's event stream as a hint"),
        Line::new(1, "reconcilers", "keyed          4 in 600 s per child, then that one is parked"),
        Line::new(2, "<deployment>", ""),
        Line::new(1, "deployments", "owns the ledger: what should run"),
        Line::new(1, "link", "one_for_one    8 in 300 s   then parked 300 s and tried again"),
        Line::new(2, "kv_watcher", ""),
        Line::new(2, "reporter", ""),
        Line::new(2, "heartbeat", ""),
        Line::new(2, "command_server", ""),
    ]
}

#[test]
fn the_agents_tree_is_drawn_as_in_its_source() {
    assert_eq!(draw(&agent()), DRAWING);
}

#[test]
fn a_bar_runs_only_beside_branches_that_go_on() {
    assert_eq!(branches(&[0, 1, 2, 3, 1, 2]), ["", "├─ ", "│  └─ ", "│     └─ ", "└─ ", "   └─ "]);
}

#[test]
fn a_longer_name_moves_the_whole_column() {
    let name = "a-deployment-with-quite-a-long-name";
    let drawing = draw(&[Line::new(0, "root", "x"), Line::new(1, name, "y")]);
    let ends: Vec<usize> = drawing.lines().map(|l| l.chars().count()).collect();
    assert_eq!(ends, [3 + name.len() + 3; 2], "{drawing}");
}

#[test]
fn no_lines_draw_nothing() {
    assert_eq!(draw(&[]), "");
}
