//! `docs/faults.md`: the table with what came of its tests in the last long run.
use super::matrix::{SECTIONS, section};
use super::{Row, Rows};
use crate::invariants;
use crate::listed::TestId;
use crate::project::Circumstances;
use crate::results::{Outcome, Results};
use std::collections::BTreeMap;
use std::fmt::Write;

const PREFACE: &str = "\
# Faults

What befalls a device in the field, what has to come of it, and whether it did when the tests were run last. Written from
the report of that run, not by hand: what failed or was not run says so. (`scripts/test --long` runs all and writes this
page; `cargo xtask faults REPORT` writes it from the report of any run.)

**Real** tests do it to the real thing: podman and nats-server as the distribution ships them, in a network namespace of
their own. Processes are killed, sockets cut, disks filled, links unplugged. In `e2e` the built agent runs beside them as
a process, and what came of it is judged by others than the agent: podman's own command line, `/proc`, plain JSON over
NATS. Other real tests take one part of the agent there: `runtime_contract` and `podman_…` what speaks to podman,
`bus_contract` what speaks to NATS, `real_disk` what writes its state.
**Simulated** tests run the agent's actors on a fake podman, a fake server and a clock that can be moved: hours pass in
a moment, answers come in any order, and a crash can be put between any two steps. They show what the agent decides, not
what podman does; that the fakes do what the real things do is shown by tests that both have to pass
(`runtime_contract`, `bus_contract`).

What all of this cannot show: other kernels, file systems and versions than those named here, hardware that lies, and
faults that nobody has thought of. Where a row could not be shown as it was meant, it says so.

Invariants are explained in [invariants.md](invariants.md). The tests behind a row are below its table, by the binary
that they are in (`lib`: unit tests) and their path in it.
";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Passed,
    NotRun,
    Failed,
}

impl Verdict {
    fn of(outcome: Option<Outcome>) -> Self {
        match outcome {
            Some(Outcome { passed: true, .. }) => Self::Passed,
            Some(Outcome { passed: false, .. }) => Self::Failed,
            None => Self::NotRun,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotRun => "*not run*",
            Self::Failed => "**FAILED**",
        }
    }
}

pub fn page(rows: &Rows, page: &invariants::Page, results: &Results, run: &Circumstances) -> String {
    let mut text = format!("{PREFACE}\n{}", last_run(rows, results, run));
    for (number, (_, title)) in SECTIONS.iter().enumerate() {
        let of_section: Rows = rows
            .iter()
            .filter(|(id, _)| section(id) == Some(number))
            .map(|(id, row)| (id.clone(), row.clone()))
            .collect();
        if !of_section.is_empty() {
            text += &part(title, &of_section, page, results);
        }
    }
    text
}

/// How many rows passed, failed and were not run.
pub fn sentence(rows: &Rows, results: &Results) -> String {
    let count = |wanted| rows.values().filter(|row| verdict(row, results) == wanted).count();
    let (passed, failed, not_run) = (count(Verdict::Passed), count(Verdict::Failed), count(Verdict::NotRun));
    format!("Of {} rows {passed} passed, {failed} failed, {not_run} were not run.", rows.len())
}

fn last_run(rows: &Rows, results: &Results, run: &Circumstances) -> String {
    let mut text = format!("## The last run\n\n{}\n\n| | |\n|---|---|\n", sentence(rows, results));
    let failed: Vec<String> =
        results.failed().map(|test| format!("; **FAILED**: `{} {}`", test.binary, test.path)).collect();
    let tests = format!("{}, {} of them failed{}", results.len(), failed.len(), failed.concat());
    let mut lines = vec![
        ("When", run.time.clone()),
        ("Commit", run.commit.clone()),
        ("Machine", run.machine.clone()),
        ("With", run.versions.join("; ")),
        ("Tests", tests),
    ];
    let mut seeds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, seed) in &results.seeds {
        seeds.entry(name).or_default().push(seed.to_string());
    }
    lines.extend(seeds.iter().map(|(name, seeds)| ("Seeds", format!("`{name}` {}", seeds.join(", ")))));
    for (name, value) in lines {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

fn part(title: &str, rows: &Rows, page: &invariants::Page, results: &Results) -> String {
    let mut text = format!("\n## {title}\n\n| | Fault | What has to come of it | Invariants | Last run |\n");
    text += "|---|---|---|---|---|\n";
    for (id, row) in rows {
        let invariants: Vec<String> = row.invariants.iter().map(|id| link(id, page)).collect();
        let (fault, expected) = (cell(&row.fault), cell(&row.expected));
        let came = came_of(row, results);
        let _ = writeln!(text, "| {id} | {fault} | {expected} | {} | {came} |", invariants.join(", "));
    }
    text.push('\n');
    for (id, row) in rows {
        text += &tests_of(id, row, results);
    }
    text
}

/// `INV-9`, to click on.
fn link(id: &str, page: &invariants::Page) -> String {
    page.anchor(id).map_or_else(|| id.to_owned(), |anchor| format!("[{id}](invariants.md#{anchor})"))
}

fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The worst of its tests, and of which kinds they are.
fn came_of(row: &Row, results: &Results) -> String {
    let kinds = [("real", &row.real), ("simulated", &row.simulated)];
    let shown = kinds.iter().filter(|(_, tests)| !tests.is_empty());
    let words: Vec<String> =
        shown.map(|(kind, tests)| format!("{kind}: {}", worst(tests, results).word())).collect();
    let note = if row.note.is_some() { ", see the note" } else { "" };
    format!("{}{note}", words.join(", "))
}

fn verdict(row: &Row, results: &Results) -> Verdict {
    worst(&row.real, results).max(worst(&row.simulated, results))
}

fn worst(tests: &[String], results: &Results) -> Verdict {
    tests.iter().map(|test| Verdict::of(outcome(test, results))).max().unwrap_or(Verdict::Passed)
}

fn outcome(test: &str, results: &Results) -> Option<Outcome> {
    results.of(&TestId::parse(test).ok()?)
}

fn tests_of(id: &str, row: &Row, results: &Results) -> String {
    let mut text = format!("* {id}\n");
    for (kind, tests) in [("real", &row.real), ("simulated", &row.simulated)] {
        for test in tests {
            let outcome = outcome(test, results);
            let took = outcome.map_or_else(String::new, |outcome| format!(" in {:.1} s", outcome.seconds));
            let _ = writeln!(text, "  * {kind}: `{test}` {}{took}", Verdict::of(outcome).word());
        }
    }
    if let Some(note) = &row.note {
        let _ = writeln!(text, "  * note: {}", cell(note));
    }
    text
}
