//! Mutants: the code broken on purpose, one invariant at a time, each to be noticed by named tests.
mod copy;
mod judge;

pub use judge::run;

use crate::invariants;
use crate::listed::Tests;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

const PLACE: &str = "tests/mutants.toml";

/// The invariants that have to have one; others may.
const REQUIRED: [&str; 9] =
    ["INV-1", "INV-2", "INV-3", "INV-5", "INV-6", "INV-8", "INV-9", "INV-11", "INV-17"];

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    name: String,
    invariant: String,
    /// What goes wrong with it, for whoever reads the list.
    breaks: String,
    file: String,
    /// Found exactly once in the file, as it is written there.
    old: String,
    new: String,
    /// `BINARY TEST`: each of them has to fail.
    guards: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct All {
    mutant: Vec<Mutant>,
}

/// All mutants, or why they cannot be read.
pub fn read(root: &Path) -> Result<(Vec<Mutant>, Vec<String>)> {
    let text = std::fs::read_to_string(root.join(PLACE)).context(PLACE)?;
    Ok(match toml::from_str::<All>(&text) {
        Ok(all) => (all.mutant, Vec::new()),
        Err(error) => (Vec::new(), vec![format!("{PLACE}: {}", error.to_string().trim_end())]),
    })
}

impl Mutant {
    /// The file's text with the mutation in it, or why it does not apply any more.
    fn applied_to(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.old).count() {
            1 if self.old == self.new => Err("its old and new text are equal".to_owned()),
            1 => Ok(text.replacen(&self.old, &self.new, 1)),
            count => Err(format!(
                "does not apply any more: its old text is {count} times in {}; break the same thing in the code of \
                 today",
                self.file
            )),
        }
    }
}

/// What can be known without running any: drift of the code, the page and the tests.
pub fn problems(root: &Path, mutants: &[Mutant], page: &invariants::Page, tests: &Tests) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for mutant in mutants {
        let Mutant { name, invariant, file, guards, .. } = mutant;
        let mut complain = |problem: String| problems.push(format!("{PLACE} {name}: {problem}"));
        if !names.insert(name) {
            complain("another one has this name".to_owned());
        }
        if !page.names(invariant, name) {
            complain(format!("{invariant} in docs/invariants.md does not name `{name}`: add a line there"));
        }
        match std::fs::read_to_string(root.join(file)) {
            Ok(text) => mutant.applied_to(&text).err().into_iter().for_each(&mut complain),
            Err(error) => complain(format!("{file}: {error}")),
        }
        if guards.is_empty() {
            complain("names no test that notices it".to_owned());
        }
        guards.iter().filter_map(|guard| tests.find(guard).err()).for_each(&mut complain);
    }
    for id in REQUIRED.iter().filter(|id| !mutants.iter().any(|mutant| mutant.invariant == **id)) {
        problems.push(format!(
            "{PLACE}: nothing breaks {id}: without a mutant nobody knows that its tests see it"
        ));
    }
    problems
}

#[cfg(test)]
mod tests;
