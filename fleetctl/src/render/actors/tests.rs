use super::render;
use crate::fixtures::actors;
use crate::output::Style;

#[test]
fn the_live_tree_shows_what_stands_out() {
    let expected = "\
ACTOR                        STATE           FOR RESTARTS
fleet-agent                  running          3m        0  one_for_one 0/5 in 300 s
├─ runtime                   running          3m        0  rest_for_one 1/4 in 300 s
│  └─ effects                running          3m        0  pull web for 4.2s  3 messages waiting
├─ reconcilers               running          3m        0  keyed
│  └─ web                    !parked          3m        6  last error 60s ago: panic: boom [2J
└─ link                      running          3m        0  one_for_one 2/8 in 300 s
   ├─ reporter               !backing-off     1s        2  retry in 1.5s
   ├─ heartbeat              waiting          3m        0  waiting for connection
   └─ kv_watcher             !stuck           3m        0
";
    assert_eq!(render(&actors(), Style::PLAIN), expected);
}

#[test]
fn what_stands_out_is_coloured() {
    let text = render(&actors(), Style { colours: true });
    assert!(text.contains("\x1b[31m!parked") && text.contains("\x1b[33m!backing-off"), "{text}");
    assert!(!text.contains("\x1b[31mrunning"), "{text}");
}
