//! `docs/invariants.md`: the ids that others refer to, and the tests that it claims to be guarded by.
use crate::listed::Tests;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

const PAGE: &str = "docs/invariants.md";

#[derive(Debug, Default)]
pub struct Page {
    sections: BTreeMap<String, Section>,
    /// Tests and files, with the line in which they are named.
    guards: Vec<(usize, Guard)>,
}

#[derive(Debug)]
struct Section {
    anchor: String,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Guard {
    file: String,
    /// Empty: the whole file.
    name: String,
}

pub fn read(root: &Path) -> Result<(Page, Vec<String>)> {
    Ok(parse(&std::fs::read_to_string(root.join(PAGE)).context(PAGE)?))
}

/// The page, and what in it cannot be understood.
fn parse(text: &str) -> (Page, Vec<String>) {
    let (mut page, mut problems) = (Page::default(), Vec::new());
    let (mut current, mut file): (Option<String>, Option<String>) = (None, None);
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(heading) = line.strip_prefix("## ") {
            let id = heading.split(' ').next().unwrap_or_default().to_owned();
            let section = Section { anchor: anchor(heading), text: String::new() };
            if page.sections.insert(id.clone(), section).is_some() {
                problems.push(format!("{PAGE}:{number}: {id} is there twice: give one of them another id"));
            }
            current = Some(id);
        }
        if let Some(section) = current.as_ref().and_then(|id| page.sections.get_mut(id)) {
            section.text.push_str(line);
            section.text.push('\n');
        }
        for span in line.split('`').skip(1).step_by(2) {
            match guard(span, &file) {
                Some(Ok(guard)) => {
                    file = Some(guard.file.clone());
                    page.guards.push((number, guard));
                }
                Some(Err(problem)) => problems.push(format!("{PAGE}:{number}: {problem}")),
                None => {}
            }
        }
    }
    (page, problems)
}

/// `file::name`, `file` for all that is in it, or `::name` in the file named before.
fn guard(span: &str, before: &Option<String>) -> Option<Result<Guard, String>> {
    if let Some(name) = span.strip_prefix("::") {
        let of = |file: &String| Guard { file: file.clone(), name: name.to_owned() };
        return Some(before.as_ref().map(of).ok_or(format!("`{span}` follows no file: name its file")));
    }
    let is_source =
        ["src/", "tests/", "contracts/", "fleetctl/", "xtask/"].iter().any(|dir| span.starts_with(dir));
    let is_data = span.ends_with(".toml") || span.ends_with(".json");
    if !is_source || is_data {
        return None;
    }
    let (file, name) = span.split_once("::").unwrap_or((span, ""));
    Some(Ok(Guard { file: file.to_owned(), name: name.to_owned() }))
}

/// As every viewer of Markdown makes it from a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

impl Page {
    pub fn has(&self, id: &str) -> bool {
        self.sections.contains_key(id)
    }

    pub fn anchor(&self, id: &str) -> Option<&str> {
        Some(&self.sections.get(id)?.anchor)
    }

    /// Whether the section of an invariant names something in code quotes.
    pub fn names(&self, id: &str, word: &str) -> bool {
        self.sections.get(id).is_some_and(|section| section.text.contains(&format!("`{word}`")))
    }

    pub fn problems(&self, root: &Path, tests: &Tests) -> Vec<String> {
        let broken = self.guards.iter().filter_map(|(line, Guard { file, name })| {
            if !root.join(file).exists() {
                return Some(format!("{PAGE}:{line}: there is no file {file}: name where its tests are now"));
            }
            (!tests.is_in_file(file, name)).then(|| match name.as_str() {
                "" => format!("{PAGE}:{line}: {file} has no test"),
                _ => format!("{PAGE}:{line}: {file} has no test `{name}`: name the one that guards this now"),
            })
        });
        broken.collect()
    }
}

#[cfg(test)]
impl Page {
    pub fn of(text: &str) -> Self {
        parse(text).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Invariants
Named as `file::name`; see `tests/runtime_contract` and `scripts/mutants`.

## INV-1 At most one (ever)
* `src/domain/plan/tests.rs::a_step`,
  `::another_step` (property), by `plan::Cause`
* `tests/stories/isolation.rs`: all of it

## INV-2 Authorised stop
* broken on purpose: `stops-what-is-healthy` in `tests/mutants/plan.toml`
";

    fn names(page: &Page) -> Vec<String> {
        page.guards.iter().map(|(line, guard)| format!("{line} {}::{}", guard.file, guard.name)).collect()
    }

    #[test]
    fn tests_are_named_in_full_by_file_and_after_one_of_the_same_file() {
        let (page, problems) = parse(TEXT);
        assert!(problems.is_empty(), "{problems:?}");
        let expected = [
            "2 tests/runtime_contract::",
            "5 src/domain/plan/tests.rs::a_step",
            "6 src/domain/plan/tests.rs::another_step",
            "7 tests/stories/isolation.rs::",
        ];
        assert_eq!(names(&page), expected);
    }

    #[test]
    fn ids_anchors_and_words_belong_to_their_section() {
        let page = Page::of(TEXT);
        assert!(page.has("INV-1") && page.has("INV-2") && !page.has("INV-3"));
        assert_eq!(page.anchor("INV-1"), Some("inv-1-at-most-one-ever"));
        assert!(
            page.names("INV-2", "stops-what-is-healthy") && !page.names("INV-1", "stops-what-is-healthy")
        );
    }

    #[test]
    fn what_is_named_and_not_there_is_told_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("src")).unwrap();
        std::fs::write(root.path().join("src/plan.rs"), "").unwrap();
        let page = Page::of("`src/plan.rs::is_there`, `::is_gone`\n`src/gone.rs::x`\n`src/plan.rs`");
        let tests = Tests::of(&["fleet-agent plan::tests::is_there"]);
        let problems = page.problems(root.path(), &tests).join("\n");
        assert!(problems.contains("docs/invariants.md:1: src/plan.rs has no test `is_gone`"), "{problems}");
        assert!(problems.contains("docs/invariants.md:2: there is no file src/gone.rs"), "{problems}");
        assert_eq!(problems.lines().count(), 2, "{problems}");
    }

    #[test]
    fn a_name_without_a_file_and_an_id_given_twice_are_refused() {
        let (_, problems) = parse("`::x`\n## INV-1 a\n## INV-1 b\n");
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
