//! What came of each test of a run, from the JUnit report that nextest writes.
use crate::listed::TestId;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    pub passed: bool,
    pub seconds: f64,
}

#[derive(Debug, Default)]
pub struct Results {
    outcomes: BTreeMap<TestId, Outcome>,
    /// `FLEET_CHAOS_SEED=7` and the like, as tests print them.
    pub seeds: BTreeSet<(String, u64)>,
}

impl Results {
    /// None: the test was not run.
    pub fn of(&self, test: &TestId) -> Option<Outcome> {
        self.outcomes.get(test).copied()
    }

    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    pub fn failed(&self) -> impl Iterator<Item = &TestId> {
        self.outcomes.iter().filter(|(_, outcome)| !outcome.passed).map(|(test, _)| test)
    }
}

pub fn read(junit: &Path) -> Result<Results> {
    let text = std::fs::read_to_string(junit).with_context(|| format!("{}", junit.display()))?;
    parse(&text).with_context(|| format!("{} is not a report of nextest", junit.display()))
}

pub fn parse(text: &str) -> Result<Results> {
    let document = roxmltree::Document::parse(text)?;
    let mut results = Results::default();
    for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
        let attribute = |name| case.attribute(name).with_context(|| format!("a test case without {name}"));
        let id = TestId { binary: attribute("classname")?.to_owned(), path: attribute("name")?.to_owned() };
        // A time limit, a leaked process and a crash are failures and errors of their own types.
        let is_bad = |node: roxmltree::Node| node.has_tag_name("failure") || node.has_tag_name("error");
        let outcome = Outcome { passed: !case.children().any(is_bad), seconds: attribute("time")?.parse()? };
        results.outcomes.insert(id, outcome);
        for written in case.children().filter_map(|node| node.text()) {
            results.seeds.extend(seeds(written));
        }
    }
    Ok(results)
}

/// Words of the form `…SEED=number`.
fn seeds(text: &str) -> impl Iterator<Item = (String, u64)> {
    text.split_whitespace().filter_map(|word| {
        let (name, number) = word.split_once('=')?;
        Some((name.ends_with("SEED").then(|| name.to_owned())?, number.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3"><testsuite name="fleet-agent::stories" tests="3">
  <testcase name="chaos::all" classname="fleet-agent::stories" time="16.540">
    <system-out>running 1 test</system-out><system-err>FLEET_CHAOS_SEED=1
FLEET_CHAOS_SEED=2 begins; NO_SEED=x</system-err></testcase>
  <testcase name="a::slow" classname="fleet-agent::stories" time="180.1"><failure type="test timeout"/></testcase>
  <testcase name="a::leaky" classname="fleet-agent::stories" time="1"><error type="test leak"/></testcase>
</testsuite></testsuites>"#;

    fn outcome(path: &str) -> Option<Outcome> {
        parse(REPORT).unwrap().of(&TestId { binary: "fleet-agent::stories".into(), path: path.into() })
    }

    #[test]
    fn passed_failed_and_not_run_are_told_apart() {
        assert_eq!(outcome("chaos::all"), Some(Outcome { passed: true, seconds: 16.54 }));
        assert!(!outcome("a::slow").unwrap().passed);
        assert!(!outcome("a::leaky").unwrap().passed);
        assert_eq!(outcome("a::other"), None);
    }

    #[test]
    fn seeds_that_tests_print_are_found() {
        let seeds = parse(REPORT).unwrap().seeds;
        assert_eq!(seeds, [("FLEET_CHAOS_SEED".into(), 1), ("FLEET_CHAOS_SEED".into(), 2)].into());
    }

    #[test]
    fn something_else_is_not_taken_for_a_report() {
        assert!(parse("").is_err());
        assert!(parse("<testsuites><testcase name='x' classname='y'/></testsuites>").is_err());
    }
}
