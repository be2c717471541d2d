//! The tests there are, as nextest lists them, and how the documents name them.
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// One test, as nextest names it: the id of its binary and its path in there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestId {
    pub binary: String,
    pub path: String,
}

impl TestId {
    /// `BINARY TEST`: a test target of the agent by its name, `lib` for its unit tests, anything
    /// else by nextest's id (`fleet-contracts::golden`).
    pub fn parse(text: &str) -> Result<Self, String> {
        let (binary, path) = text.split_once(' ').ok_or_else(|| {
            format!("`{text}` is not `BINARY TEST`, as in `e2e stories_of_servers::a_server_…`")
        })?;
        let binary = match binary {
            "lib" => "fleet-agent".to_owned(),
            id if id.contains("::") || id.starts_with("fleet") => id.to_owned(),
            target => format!("fleet-agent::{target}"),
        };
        Ok(Self { binary, path: path.trim().to_owned() })
    }
}

#[derive(Debug, Default)]
pub struct Tests(BTreeMap<String, BTreeSet<String>>);

#[derive(Deserialize)]
struct List {
    #[serde(rename = "rust-suites")]
    suites: BTreeMap<String, Suite>,
}

#[derive(Deserialize)]
struct Suite {
    testcases: BTreeMap<String, serde_json::Value>,
}

impl Tests {
    pub fn from_json(text: &str) -> Result<Self> {
        let list: List = serde_json::from_str(text).context("cannot read nextest's list of tests")?;
        let paths = |suite: Suite| suite.testcases.into_keys().collect();
        Ok(Self(list.suites.into_iter().map(|(binary, suite)| (binary, paths(suite))).collect()))
    }

    /// The test of that name, or why there is none and which was perhaps meant.
    pub fn find(&self, text: &str) -> Result<TestId, String> {
        let id = TestId::parse(text)?;
        match self.0.get(&id.binary) {
            None => {
                let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
                Err(format!("there is no test binary `{}` (there are {})", id.binary, known.join(", ")))
            }
            Some(paths) if paths.contains(&id.path) => Ok(id),
            Some(_) => Err(format!("there is no test `{text}`{}", self.meant(&id.path))),
        }
    }

    /// Renamed modules are the usual reason: the same name elsewhere.
    fn meant(&self, path: &str) -> String {
        let name = last(path);
        let mut everywhere = self.0.iter().flat_map(|(binary, paths)| paths.iter().map(move |p| (binary, p)));
        match everywhere.find(|(_, path)| last(path) == name) {
            Some((binary, path)) => format!("; perhaps `{binary} {path}` is meant"),
            None => "; it was renamed or removed: name the test that shows this now".to_owned(),
        }
    }

    /// Whether a source file (`src/store/lock.rs`, `tests/e2e/main.rs`, `tests/runtime_contract`) has a
    /// test whose path ends in `name`; with an empty name any test.
    pub fn is_in_file(&self, file: &str, name: &str) -> bool {
        let (package, file) = match file.split_once('/') {
            Some(("contracts", rest)) => ("fleet-contracts", rest),
            Some((package @ ("fleetctl" | "xtask"), rest)) => (package, rest),
            _ => ("fleet-agent", file),
        };
        let file = file.strip_suffix(".rs").unwrap_or(file);
        let (binaries, modules): (Vec<String>, &str) = if let Some(module) = file.strip_prefix("src/") {
            (vec![package.to_owned(), format!("{package}::bin/{package}")], module)
        } else if let Some(target) = file.strip_prefix("tests/") {
            let (target, module) = target.split_once('/').unwrap_or((target, ""));
            (vec![format!("{package}::{target}")], module)
        } else {
            return false;
        };
        let modules: Vec<&str> = modules.split('/').filter(|m| !matches!(*m, "" | "main" | "lib")).collect();
        let name: Vec<&str> = name.split("::").filter(|part| !part.is_empty()).collect();
        let mut paths = binaries.iter().filter_map(|binary| self.0.get(binary)).flatten();
        paths.any(|path| {
            let path: Vec<&str> = path.split("::").collect();
            path.len() > modules.len() && path.starts_with(&modules) && path[modules.len()..].ends_with(&name)
        })
    }
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
impl Tests {
    /// From `BINARY-ID TEST` lines.
    pub fn of(lines: &[&str]) -> Self {
        let mut tests = Self::default();
        for line in lines {
            let (binary, path) = line.split_once(' ').unwrap();
            tests.0.entry(binary.to_owned()).or_default().insert(path.to_owned());
        }
        tests
    }
}

#[cfg(test)]
mod tests;
