use super::*;
use crate::project::Circumstances;
use crate::results;

const SERVERS: &str = r#"
["F-23"]
fault = "nats-server is killed | and started again"
expected = "nothing is changed"
invariants = ["INV-6"]
level = "R"
real = ["e2e stories_of_servers::a_server_returns"]
simulated = []

["F-25"]
fault = "the bucket is deleted"
expected = "nothing stops"
invariants = ["INV-9"]
level = "B"
real = ["bus_contract nats::a_bucket_is_missing"]
simulated = ["stories source::a_bucket_is_missing", "lib domain::judge::tests::a_bucket"]
"#;

fn file(text: &str) -> (Rows, Vec<String>) {
    parse(&[("tests/faults/source.toml".to_owned(), text.to_owned())])
}

fn invariants() -> invariants::Page {
    invariants::Page::of("## INV-6 No needless stop\n## INV-9 Absence\n")
}

fn tests() -> Tests {
    Tests::of(&[
        "fleet-agent::e2e stories_of_servers::a_server_returns",
        "fleet-agent::bus_contract nats::a_bucket_is_missing",
        "fleet-agent::bus_contract fake::a_bucket_is_missing",
        "fleet-agent::stories source::a_bucket_is_missing",
        "fleet-agent domain::judge::tests::a_bucket",
    ])
}

/// What is wrong with the rows that are there; that most are missing is another matter.
fn wrong(text: &str) -> Vec<String> {
    let (rows, mut unreadable) = file(text);
    let all = problems(&rows, &invariants(), &tests());
    unreadable.extend(all.into_iter().filter(|problem| !problem.contains("has no row")));
    unreadable
}

fn without(what: &str, with: &str) -> Vec<String> {
    assert!(SERVERS.contains(what), "{what}");
    wrong(&SERVERS.replace(what, with))
}

#[test]
fn rows_whose_tests_are_there_are_right() {
    assert_eq!(wrong(SERVERS), Vec::<String>::new());
}

#[test]
fn each_claim_that_does_not_hold_is_told_with_its_row() {
    for (what, with, told) in [
        (
            "a_server_returns",
            "a_server_is_back",
            "source.toml F-23: there is no test `e2e stories_of_servers::a_s",
        ),
        ("INV-6", "INV-99", "F-23: INV-99 is not in docs/invariants.md"),
        ("\"R\"", "\"S\"", "F-23: its level is R in the matrix, here it is S"),
        ("\"F-23\"", "\"X-23\"", "X-23: this id belongs to no part of the matrix"),
        ("nats::a_bucket", "fake::a_bucket", "F-25: `bus_contract fake::a_bucket_is_missing` runs on fakes"),
        (
            "\"stories source::a_bucket_is_missing\"",
            "\"e2e stories_of_servers::a_server_returns\"",
            "F-25: `e2e stories_of_servers::a_server_returns` runs on the real things",
        ),
        (
            "[\"bus_contract nats::a_bucket_is_missing\"]",
            "[]",
            "F-25: level B needs a real test: add one, or a `note`",
        ),
        ("[\"e2e stories_of_servers::a_server_returns\"]", "[]", "F-23: names no test at all"),
        ("expected", "expectation", "source.toml: TOML parse error"),
    ] {
        let problems = without(what, with);
        assert!(problems.iter().any(|problem| problem.contains(told)), "{with}: {problems:#?}");
    }
}

#[test]
fn a_note_explains_a_missing_kind_and_never_all_of_them() {
    let noted =
        SERVERS.replace("[\"bus_contract nats::a_bucket_is_missing\"]", "[]\nnote = \"no such server\"");
    assert_eq!(wrong(&noted), Vec::<String>::new());
    let nothing = SERVERS.replace("[\"e2e stories_of_servers::a_server_returns\"]", "[]\nnote = \"hard\"");
    assert!(wrong(&nothing)[0].contains("a note alone shows nothing"));
}

#[test]
fn every_required_row_has_to_be_there_and_no_row_twice() {
    let (rows, _) = file(SERVERS);
    let all = problems(&rows, &invariants(), &tests());
    assert_eq!(all.iter().filter(|problem| problem.contains("has no row")).count(), 58);
    let twice = [("a.toml".to_owned(), SERVERS.to_owned()), ("b.toml".to_owned(), SERVERS.to_owned())];
    assert_eq!(parse(&twice).1.len(), 2);
}

fn written(report: &str) -> String {
    let (rows, _) = file(SERVERS);
    let run = Circumstances {
        time: "2026-11-27 05:00 UTC".into(),
        commit: "abc1234".into(),
        machine: "Linux 6.1, 2 cores".into(),
        versions: vec!["podman version 4.3.1".into(), "nats-server: v2.9.10".into()],
    };
    page(&rows, &invariants(), &results::parse(report).unwrap(), &run)
}

const REPORT: &str = r#"<testsuites>
    <testcase classname="fleet-agent::e2e" name="stories_of_servers::a_server_returns" time="4.21"/>
    <testcase classname="fleet-agent::bus_contract" name="nats::a_bucket_is_missing" time="1.0"/>
    <testcase classname="fleet-agent::stories" name="source::a_bucket_is_missing" time="0.5">
        <failure type="test failure"/><system-err>FLEET_CHAOS_SEED=3 FLEET_CHAOS_SEED=1</system-err></testcase>
    </testsuites>"#;

#[test]
fn the_page_says_what_came_of_each_row_and_of_each_test() {
    let page = written(REPORT);
    for line in [
        "Of 2 rows 1 passed, 1 failed, 0 were not run.",
        "| Commit | abc1234 |",
        "| With | podman version 4.3.1; nats-server: v2.9.10 |",
        "| Tests | 3, 1 of them failed; **FAILED**: `fleet-agent::stories source::a_bucket_is_missing` |",
        "| Seeds | `FLEET_CHAOS_SEED` 1, 3 |",
        "## Desired state and NATS",
        "| F-23 | nats-server is killed \\| and started again | nothing is changed | \
         [INV-6](invariants.md#inv-6-no-needless-stop) | real: passed |",
        "| F-25 | the bucket is deleted | nothing stops | [INV-9](invariants.md#inv-9-absence) | \
         real: passed, simulated: **FAILED** |",
        "  * real: `e2e stories_of_servers::a_server_returns` passed in 4.2 s",
        "  * simulated: `stories source::a_bucket_is_missing` **FAILED** in 0.5 s",
        "  * simulated: `lib domain::judge::tests::a_bucket` *not run*",
    ] {
        assert!(page.lines().any(|written| written == line), "{line}\nis not in\n{page}");
    }
}

#[test]
fn a_test_that_was_not_run_is_never_counted_as_passed() {
    let page = written("<testsuites/>");
    assert!(page.contains("Of 2 rows 0 passed, 0 failed, 2 were not run."), "{page}");
}
