use super::*;
use tracing::{Level, enabled, subscriber};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};

#[test]
fn nothing_said_means_info() {
    for given in [None, Some(""), Some("  ")] {
        let (filter, complaint) = configured(given);
        assert!(filter.would_enable("anything", &Level::INFO));
        assert!(!filter.would_enable("anything", &Level::DEBUG));
        assert_eq!(complaint, None);
    }
}

#[test]
fn targets_and_levels_are_honoured() {
    let (filter, _) = configured(Some("warn,fleet_agent::actors=debug"));
    assert!(filter.would_enable("fleet_agent::actors::link", &Level::DEBUG));
    assert!(!filter.would_enable("fleet_agent::bus", &Level::INFO));
}

#[test]
fn a_filter_that_is_not_understood_is_named_and_info_is_used() {
    let (filter, complaint) = configured(Some("fleet_agent=louder"));
    assert!(filter.would_enable("fleet_agent", &Level::INFO));
    assert!(complaint.unwrap().contains("fleet_agent=louder"));
}

#[test]
fn a_changed_filter_takes_the_place_of_the_configured_one_until_that_is_restored() {
    let (filter, layer, _) = LogFilter::new(Some("warn"));
    let lines = fmt::layer().with_writer(std::io::sink).with_filter(layer);
    subscriber::with_default(tracing_subscriber::registry().with(lines), || {
        assert!(!enabled!(Level::INFO));
        assert_eq!(filter.change(" debug ").unwrap(), "debug");
        assert!(enabled!(Level::DEBUG));
        for nonsense in ["fleet_agent=louder", "", " "] {
            let error = filter.change(nonsense).unwrap_err().to_string();
            assert!(error.contains("is no log filter"), "{error}");
            assert!(enabled!(Level::DEBUG), "{nonsense:?} changes nothing");
        }
        assert_eq!(filter.restore(), "warn");
        assert!(!enabled!(Level::INFO));
    });
}
