//! The table of faults: `tests/faults/*.toml` names for each row the tests that show it. Held against
//! the matrix and the tests there are, and written into `docs/faults.md` with what came of them.
mod matrix;
mod page;

pub use page::{page, sentence};

use crate::invariants;
use crate::listed::Tests;
use anyhow::{Context, Result};
use matrix::Level;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const PLACE: &str = "tests/faults";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    fault: String,
    expected: String,
    invariants: Vec<String>,
    level: Level,
    #[serde(default)]
    real: Vec<String>,
    #[serde(default)]
    simulated: Vec<String>,
    /// What of the row cannot be shown here, why, and what is shown instead.
    note: Option<String>,
    #[serde(skip)]
    file: String,
}

pub type Rows = BTreeMap<String, Row>;

/// All rows, and what cannot be read or is there twice.
pub fn read(root: &Path) -> Result<(Rows, Vec<String>)> {
    let mut texts = Vec::new();
    if root.join(PLACE).exists() {
        for entry in std::fs::read_dir(root.join(PLACE)).context(PLACE)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                texts.push((format!("{PLACE}/{name}"), std::fs::read_to_string(&path)?));
            }
        }
    }
    texts.sort();
    Ok(parse(&texts))
}

fn parse(texts: &[(String, String)]) -> (Rows, Vec<String>) {
    let (mut rows, mut problems) = (Rows::new(), Vec::new());
    for (file, text) in texts {
        match toml::from_str::<Rows>(text) {
            Err(error) => problems.push(format!("{file}: {}", error.to_string().trim_end())),
            Ok(some) => {
                for (id, row) in some {
                    let row = Row { file: file.clone(), ..row };
                    if let Some(before) = rows.insert(id.clone(), row) {
                        let first = before.file;
                        problems
                            .push(format!("{id} is in {first} and in {file}: keep one, with all its tests"));
                    }
                }
            }
        }
    }
    (rows, problems)
}

/// What the table claims and is not so.
pub fn problems(rows: &Rows, invariants: &invariants::Page, tests: &Tests) -> Vec<String> {
    let mut problems = Vec::new();
    for (id, level) in matrix::REQUIRED {
        match rows.get(id) {
            None => problems.push(format!(
                "{id} has no row in {PLACE}: name the tests that show it (level {level:?}), or write them"
            )),
            Some(row) if row.level != level => problems.push(format!(
                "{} {id}: its level is {level:?} in the matrix, here it is {:?}: what cannot be shown goes into \
                 `note`, the level stays",
                row.file, row.level
            )),
            Some(_) => {}
        }
    }
    for (id, row) in rows {
        let found = row.problems(id, invariants, tests);
        problems.extend(found.into_iter().map(|problem| format!("{} {id}: {problem}", row.file)));
    }
    problems
}

impl Row {
    fn problems(&self, id: &str, invariants: &invariants::Page, tests: &Tests) -> Vec<String> {
        let mut problems = Vec::new();
        if matrix::section(id).is_none() {
            problems.push("this id belongs to no part of the matrix (F-01 to F-86)".to_owned());
        }
        for unknown in self.invariants.iter().filter(|id| !invariants.has(id)) {
            problems.push(format!("{unknown} is not in docs/invariants.md"));
        }
        for test in self.real.iter().chain(&self.simulated) {
            problems.extend(tests.find(test).err());
        }
        for test in self.real.iter().filter(|test| is_of_fakes(test)) {
            problems.push(format!("`{test}` runs on fakes: it belongs to `simulated`"));
        }
        for test in self.simulated.iter().filter(|test| is_of_the_whole_agent(test)) {
            problems.push(format!("`{test}` runs on the real things: it belongs to `real`"));
        }
        problems.extend(self.missing());
        problems
    }

    /// What its level demands and it neither has nor explains.
    fn missing(&self) -> Option<String> {
        if self.real.is_empty() && self.simulated.is_empty() {
            return Some("names no test at all; a note alone shows nothing".to_owned());
        }
        if self.note.is_some() {
            return None;
        }
        let missing = match self.level {
            Level::R | Level::B if self.real.is_empty() => "real",
            Level::S | Level::B if self.simulated.is_empty() => "simulated",
            _ => return None,
        };
        let level = self.level;
        Some(format!(
            "level {level:?} needs a {missing} test: add one, or a `note` that says why there is none"
        ))
    }
}

fn is_of_fakes(test: &str) -> bool {
    let (binary, path) = test.split_once(' ').unwrap_or((test, ""));
    matches!(binary, "lib" | "stories") || path.starts_with("fake::")
}

fn is_of_the_whole_agent(test: &str) -> bool {
    test.starts_with("e2e ")
}

#[cfg(test)]
mod tests;
