//! Each mutant in turn: into the copy, built, its guards run, out again.
use super::copy::Copy;
use super::{Mutant, read};
use crate::listed::TestId;
use crate::project;
use crate::results::{self, Results};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What came of one mutant. Only the first is as it should be.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Every guard failed.
    Caught,
    /// These guards passed although what they guard is broken.
    Missed(Vec<String>),
    /// The code has changed: this is not a test of the tests any more.
    Stale(String),
}

/// How nextest ends when tests have failed, and when they could not be built.
const TESTS_FAILED: i32 = 100;
const BUILD_FAILED: i32 = 101;

/// Breaks the code once for every mutant of these names (none: all). True if all were noticed.
pub fn run(root: &Path, names: &[&str]) -> Result<bool> {
    let (all, problems) = read(root)?;
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|mutant| mutant.name == **name)) {
        let known: Vec<&str> = all.iter().map(|mutant| mutant.name.as_str()).collect();
        bail!("there is no mutant `{unknown}`; there are {}", known.join(", "));
    }
    let chosen: Vec<Mutant> =
        all.into_iter().filter(|mutant| names.is_empty() || names.contains(&mutant.name.as_str())).collect();
    let copy = Copy::of(root)?;
    println!("{} mutants; first their guards on the code as it is …", chosen.len());
    let (guards, took) = timed(|| unharmed(&copy, &chosen))?;
    println!("  all {guards} guards pass ({:.0} s)", took.as_secs_f64());
    let mut judged = Vec::new();
    for mutant in &chosen {
        let (verdict, took) = timed(|| judge(&copy, mutant))?;
        println!("  {} {} ({:.0} s)", mutant.name, word(&verdict), took.as_secs_f64());
        judged.push((mutant, verdict));
    }
    println!("\n{}", table(&judged));
    Ok(judged.iter().all(|(_, verdict)| *verdict == Verdict::Caught))
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let begun = SystemTime::now();
    Ok((work()?, begun.elapsed().unwrap_or_default()))
}

/// A guard that fails anyhow says nothing of any mutant.
fn unharmed(copy: &Copy, mutants: &[Mutant]) -> Result<usize> {
    let guards: BTreeSet<&String> = mutants.iter().flat_map(|mutant| &mutant.guards).collect();
    let guards: Vec<String> = guards.into_iter().cloned().collect();
    let results = match run_guards(copy, &ids(&guards)?)? {
        Run::Done(results) => results,
        Run::NotBuilt(words) => bail!("the code as it is does not build:\n{words}"),
    };
    let failing: Vec<&String> = guards.iter().filter(|guard| passed(&results, guard) != Some(true)).collect();
    if !failing.is_empty() {
        bail!("these fail, or are not there, without any mutation: {failing:?}");
    }
    Ok(guards.len())
}

fn judge(copy: &Copy, mutant: &Mutant) -> Result<Verdict> {
    let file = copy.tree.join(&mutant.file);
    let before = fs::read_to_string(&file).with_context(|| mutant.file.clone())?;
    let broken = match mutant.applied_to(&before) {
        Ok(broken) => broken,
        Err(why) => return Ok(Verdict::Stale(why)),
    };
    fs::write(&file, broken)?;
    let run = ids(&mutant.guards).and_then(|ids| run_guards(copy, &ids));
    fs::write(&file, before)?;
    Ok(match run? {
        Run::NotBuilt(words) => Verdict::Stale(format!("does not compile any more:\n{words}")),
        Run::Done(results) => of_results(mutant, &results)?,
    })
}

fn of_results(mutant: &Mutant, results: &Results) -> Result<Verdict> {
    let mut missed = Vec::new();
    for guard in &mutant.guards {
        match passed(results, guard) {
            Some(true) => missed.push(guard.clone()),
            Some(false) => {}
            None => bail!("{}: its guard `{guard}` was not run", mutant.name),
        }
    }
    Ok(if missed.is_empty() { Verdict::Caught } else { Verdict::Missed(missed) })
}

fn passed(results: &Results, guard: &str) -> Option<bool> {
    results.of(&TestId::parse(guard).ok()?).map(|outcome| outcome.passed)
}

fn ids(guards: &[String]) -> Result<Vec<TestId>> {
    guards.iter().map(|guard| TestId::parse(guard).map_err(anyhow::Error::msg)).collect()
}

enum Run {
    Done(Results),
    NotBuilt(String),
}

fn run_guards(copy: &Copy, guards: &[TestId]) -> Result<Run> {
    // Nextest keeps its reports with the workspace, wherever the target directory is.
    let report = copy.tree.join("target/nextest/mutants/junit.xml");
    // The report of the mutant before would speak for this one.
    let _ = fs::remove_file(&report);
    let mut command = project::cargo(&copy.tree);
    command.env("CARGO_TARGET_DIR", &copy.target).env("CARGO_TERM_COLOR", "never");
    command.args(["nextest", "run", "--cargo-quiet", "--profile", "mutants"]).args(arguments(guards));
    let done = command.output().context("could not run cargo")?;
    let words = String::from_utf8_lossy(&done.stderr);
    match done.status.code() {
        Some(0 | TESTS_FAILED) => Ok(Run::Done(results::read(&report)?)),
        Some(BUILD_FAILED) => Ok(Run::NotBuilt(errors(&words))),
        _ => bail!("cargo nextest: {}\n{words}", done.status),
    }
}

/// Only the targets that hold a guard are built, only the guards are run.
fn arguments(guards: &[TestId]) -> Vec<String> {
    let mut arguments = BTreeSet::new();
    let mut filters = Vec::new();
    for TestId { binary, path } in guards {
        let (package, target) = binary.split_once("::").unwrap_or((binary, ""));
        arguments.insert(format!("--package={package}"));
        arguments.insert(match target.strip_prefix("bin/") {
            Some(program) => format!("--bin={program}"),
            None if target.is_empty() => "--lib".to_owned(),
            None => format!("--test={target}"),
        });
        filters.push(format!("(binary_id(={binary}) & test(={path}))"));
    }
    let filter = ["--filterset".to_owned(), filters.join(" | ")];
    arguments.into_iter().chain(filter).collect()
}

/// The first errors of the compiler: the rest follows from them.
fn errors(words: &str) -> String {
    let from_first = words.lines().skip_while(|line| !line.starts_with("error"));
    from_first.take(20).map(|line| format!("    {line}\n")).collect()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Caught => "caught",
        Verdict::Missed(_) => "SURVIVED",
        Verdict::Stale(_) => "STALE",
    }
}

fn table(judged: &[(&Mutant, Verdict)]) -> String {
    let mut text = String::new();
    for (mutant, verdict) in judged {
        text += &format!("{:8} {:8} {}: {}\n", word(verdict), mutant.invariant, mutant.name, mutant.breaks);
        match verdict {
            Verdict::Caught => {
                text.extend(mutant.guards.iter().map(|guard| format!("{:18}by {guard}\n", "")));
            }
            Verdict::Missed(guards) => {
                let unseen = |guard: &String| format!("{:18}not noticed by {guard}\n", "");
                text.extend(guards.iter().map(unseen));
            }
            Verdict::Stale(why) => text += &format!("{:18}{why}\n", ""),
        }
    }
    let caught = judged.iter().filter(|(_, verdict)| *verdict == Verdict::Caught).count();
    text + &format!("{caught} of {} mutants caught", judged.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant() -> Mutant {
        Mutant {
            name: "starts-two".into(),
            invariant: "INV-1".into(),
            breaks: "two run".into(),
            file: "src/plan.rs".into(),
            old: "a".into(),
            new: "b".into(),
            guards: vec!["lib plan::tests::one".into(), "stories updates::one".into()],
        }
    }

    fn report(first: &str, second: &str) -> Results {
        let case = |binary: &str, name: &str, inside: &str| {
            format!("<testcase classname='{binary}' name='{name}' time='1'>{inside}</testcase>")
        };
        let cases = case("fleet-agent", "plan::tests::one", first)
            + &case("fleet-agent::stories", "updates::one", second);
        results::parse(&format!("<testsuites>{cases}</testsuites>")).unwrap()
    }

    #[test]
    fn a_mutant_is_caught_only_when_every_guard_fails() {
        let verdict = |first, second| of_results(&mutant(), &report(first, second)).unwrap();
        assert_eq!(verdict("<failure/>", "<failure/>"), Verdict::Caught);
        assert_eq!(verdict("<failure/>", ""), Verdict::Missed(vec!["stories updates::one".into()]));
        assert_eq!(verdict("", "").into_missed(), 2);
    }

    #[test]
    fn a_guard_that_was_not_run_has_caught_nothing() {
        assert!(of_results(&mutant(), &Results::default()).is_err());
    }

    #[test]
    fn only_the_guards_are_built_and_run() {
        let guards = ids(&mutant().guards).unwrap();
        let expected = [
            "--lib",
            "--package=fleet-agent",
            "--test=stories",
            "--filterset",
            "(binary_id(=fleet-agent) & test(=plan::tests::one)) | (binary_id(=fleet-agent::stories) & \
             test(=updates::one))",
        ];
        assert_eq!(arguments(&guards), expected);
    }

    #[test]
    fn the_table_names_the_guard_that_missed_it() {
        let mutant = mutant();
        let text = table(&[(&mutant, Verdict::Missed(vec!["stories updates::one".into()]))]);
        assert!(text.contains("SURVIVED INV-1    starts-two: two run"), "{text}");
        assert!(text.contains("not noticed by stories updates::one"), "{text}");
        assert!(text.ends_with("0 of 1 mutants caught"), "{text}");
    }

    impl Verdict {
        fn into_missed(self) -> usize {
            match self {
                Self::Missed(guards) => guards.len(),
                Self::Caught | Self::Stale(_) => 0,
            }
        }
    }
}
