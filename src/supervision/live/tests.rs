use super::*;
use tokio::time::advance;

fn shown(live: &Live) -> Option<(String, u64)> {
    live.glance(Instant::now()).stuck.map(|doing| (doing.what, doing.for_ms))
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_shown_as_stuck_from_ten_seconds_until_it_ends() {
    let live = Arc::new(Live::new());
    let turn = live.begin("Want");
    advance(Duration::from_millis(9_999)).await;
    assert_eq!(shown(&live), None);
    advance(Duration::from_millis(1)).await;
    assert_eq!(shown(&live), Some(("handling Want".into(), 10_000)));
    drop(turn);
    assert_eq!(shown(&live), None);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_idle_for_long_is_not_stuck() {
    let live = Arc::new(Live::new());
    drop(live.begin("Want"));
    live.waiting_for(Some("podman".into()));
    advance(Duration::from_secs(3600)).await;
    assert_eq!((shown(&live), live.look()), (None, None));
}

#[test]
fn looks_are_counted_for_each_turn_anew() {
    let live = Arc::new(Live::new());
    let turn = live.begin("Want");
    assert_eq!((live.look(), live.look()), (Some(("Want", 1)), Some(("Want", 2))));
    drop(turn);
    assert_eq!(live.look(), None);
    let _next = live.begin("Tick");
    assert_eq!(live.look(), Some(("Tick", 1)));
}
