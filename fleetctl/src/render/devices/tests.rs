use super::render;
use crate::device::devices;
use crate::fixtures::{NOW, entry, heartbeat, info};
use crate::output::Style;
use time::OffsetDateTime;

fn page(style: Style) -> String {
    let infos =
        [entry("info.pump-7", 1, Some(info("pump-7"))), entry("info.pump-9", 1, Some(info("pump-9")))];
    let beats = [
        entry("heartbeat.pump-7", 4, Some(heartbeat("pump-7", 0, &[]))),
        entry("heartbeat.pump-8", 400, Some(heartbeat("pump-8", 0, &[]))),
        entry("heartbeat.p1", 12, Some(heartbeat("p1", 2, &["runtime-unreachable"]))),
    ];
    render(&devices(&infos, &beats, OffsetDateTime::from_unix_timestamp(NOW).unwrap()), style)
}

#[test]
fn a_list_of_devices() {
    let expected = "\
DEVICE  HEALTH                        DEPLOYMENTS            LAST SEEN  AGENT  RUNTIME
pump-8  stale                         3/3 running            6m ago     0.1.0  -
pump-9  never seen                    -                      never      0.1.0  podman 4.3.1
p1      failing: runtime-unreachable  1/3 running, 2 failed  12s ago    0.1.0  -
pump-7  ok                            3/3 running            4s ago     0.1.0  podman 4.3.1
";
    assert_eq!(page(Style::PLAIN), expected);
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let coloured = page(Style { colours: true });
    assert!(coloured.contains("\x1b[31mpump-8"), "{coloured}");
    let mut plain = coloured;
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[33m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, page(Style::PLAIN));
}
