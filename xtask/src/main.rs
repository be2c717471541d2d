//! The project's own tools; never shipped.
//!
//! `check` holds what the documents claim against the tests there are, `faults` writes the last
//! results of a long run into `docs/faults.md`, `mutants` breaks the code on purpose.
mod faults;
mod invariants;
mod listed;
mod mutants;
mod project;
mod results;

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask check [faults] [invariants] [mutants]   without a name: all three
       cargo xtask faults JUNIT                            writes docs/faults.md from a run's results
       cargo xtask mutants [NAME…]                         without a name: every mutant";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["check", parts @ ..] => check(parts),
        ["faults", junit] => write_faults(Path::new(junit)),
        ["mutants", names @ ..] => mutants::run(&project::root(), names),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every claim that does not hold, each with what to do; true if there is none.
fn check(parts: &[&str]) -> Result<bool> {
    const PARTS: [&str; 3] = ["faults", "invariants", "mutants"];
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(part)) {
        bail!("there is no part `{unknown}`\n{USAGE}");
    }
    let root = project::root();
    let tests = project::list_tests(&root)?;
    let (page, mut problems) = invariants::read(&root)?;
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    if wanted("invariants") {
        problems.extend(page.problems(&root, &tests));
    }
    if wanted("mutants") {
        let (mutants, unreadable) = mutants::read(&root)?;
        problems.extend(unreadable);
        problems.extend(mutants::problems(&root, &mutants, &page, &tests));
    }
    if wanted("faults") {
        let (rows, unreadable) = faults::read(&root)?;
        problems.extend(unreadable);
        problems.extend(faults::problems(&rows, &page, &tests));
    }
    for problem in &problems {
        eprintln!("* {problem}");
    }
    if !problems.is_empty() {
        eprintln!("{} claims do not hold", problems.len());
    }
    Ok(problems.is_empty())
}

fn write_faults(junit: &Path) -> Result<bool> {
    let root = project::root();
    let results = results::read(junit)?;
    let (rows, unreadable) = faults::read(&root)?;
    if !unreadable.is_empty() {
        bail!("{}", unreadable.join("\n"));
    }
    let (invariants, _) = invariants::read(&root)?;
    let page = faults::page(&rows, &invariants, &results, &project::circumstances(&root)?);
    std::fs::write(root.join("docs/faults.md"), page).context("could not write docs/faults.md")?;
    println!("{}", faults::sentence(&rows, &results));
    Ok(true)
}
