use super::{Cli, Command};
use clap::{CommandFactory, Parser};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn a_device_is_named_either_way_but_not_both() {
    for line in ["fleetctl status dev-1 --watch", "fleetctl status --device dev-1"] {
        let Command::Status(status) = parse(line).unwrap().command else { panic!("{line}") };
        assert_eq!(status.device.id().as_str(), "dev-1");
    }
    assert!(parse("fleetctl status").is_err());
    assert!(parse("fleetctl status dev-1 --device dev-2").is_err());
}

#[test]
fn names_of_another_form_are_bad_usage() {
    for line in [
        "fleetctl ping dev.1",
        "fleetctl apply --device dev-1 --name Web -f x.json",
        "fleetctl confirm --device dev-1 a_b",
        "fleetctl confirm --device dev-1",
        "fleetctl ping dev-1 --timeout 0",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in ["fleetctl -o json --server x devices", "fleetctl devices -o json --server x"] {
        assert_eq!(parse(line).unwrap().global.server.as_deref(), Some("x"));
    }
}

#[test]
fn every_command_shows_examples() {
    for command in Cli::command().get_subcommands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains(&format!("fleetctl {}", command.get_name())), "{}", command.get_name());
    }
}
