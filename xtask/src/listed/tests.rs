use super::*;

fn tests() -> Tests {
    Tests::of(&[
        "fleet-agent store::lock::tests::the_epoch_rises",
        "fleet-agent domain::plan::tests::a_step",
        "fleet-agent::e2e stories_of_servers::a_server_returns",
        "fleet-agent::e2e stories_of_servers::long::a_link_flaps",
        "fleet-agent::runtime_contract fake::a_name_is_given_once",
        "fleet-agent::runtime_contract podman::a_name_is_given_once",
        "fleet-contracts codec::tests::a_time_reads",
        "fleetctl::bin/fleetctl cli::tests::a_device_is_named",
    ])
}

#[test]
fn a_list_of_nextest_is_read() {
    let text = r#"{"rust-suites": {"fleet-agent::e2e": {"package-name": "x", "testcases":
        {"a::b": {"kind": "test", "ignored": false, "filter-match": {"status": "matches"}}}}}}"#;
    assert!(Tests::from_json(text).unwrap().find("e2e a::b").is_ok());
}

#[test]
fn a_test_is_found_by_its_target_and_unit_tests_by_lib() {
    let found = tests().find("e2e stories_of_servers::a_server_returns").unwrap();
    assert_eq!(found.binary, "fleet-agent::e2e");
    assert!(tests().find("lib domain::plan::tests::a_step").is_ok());
    assert!(tests().find("fleet-contracts codec::tests::a_time_reads").is_ok());
}

#[test]
fn a_test_that_is_not_there_is_named_with_the_one_that_was_perhaps_meant() {
    let moved = tests().find("e2e stories::a_server_returns").unwrap_err();
    assert!(moved.contains("fleet-agent::e2e stories_of_servers::a_server_returns"), "{moved}");
    let gone = tests().find("e2e stories::nothing_like_it").unwrap_err();
    assert!(gone.contains("renamed or removed"), "{gone}");
    assert!(tests().find("e3e a::b").unwrap_err().contains("no test binary `fleet-agent::e3e`"));
    assert!(tests().find("a_test_without_binary").unwrap_err().contains("BINARY TEST"));
}

#[test]
fn a_source_file_has_the_tests_of_its_module_and_of_no_other() {
    let tests = tests();
    for (file, name) in [
        ("src/store/lock/tests.rs", "the_epoch_rises"),
        ("src/store/lock.rs", "the_epoch_rises"),
        ("src/store/lock.rs", ""),
        ("tests/e2e/stories_of_servers.rs", "a_server_returns"),
        ("tests/e2e/stories_of_servers.rs", "a_link_flaps"),
        ("tests/e2e/stories_of_servers.rs", "long::a_link_flaps"),
        ("tests/runtime_contract", "a_name_is_given_once"),
        ("tests/runtime_contract/main.rs", "fake::a_name_is_given_once"),
        ("contracts/src/codec/tests.rs", "a_time_reads"),
        ("fleetctl/src/cli/tests.rs", "a_device_is_named"),
    ] {
        assert!(tests.is_in_file(file, name), "{file}::{name}");
    }
    for (file, name) in [
        ("src/domain/plan/tests.rs", "the_epoch_rises"),
        ("src/store/lock/tests.rs", "epoch_rises"),
        ("tests/e2e/stories_of_agents.rs", ""),
        ("tests/runtime_contract", "nothing"),
        ("docs/faults.md", ""),
    ] {
        assert!(!tests.is_in_file(file, name), "{file}::{name}");
    }
}
