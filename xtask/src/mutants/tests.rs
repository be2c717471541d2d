use super::*;

fn mutant(old: &str) -> Mutant {
    Mutant {
        name: "starts-two".into(),
        invariant: "INV-1".into(),
        breaks: "two run".into(),
        file: "src/plan.rs".into(),
        old: old.into(),
        new: "start(); start();".into(),
        guards: vec!["lib plan::tests::one_runs".into()],
    }
}

#[test]
fn a_mutant_replaces_what_is_there_exactly_once() {
    assert_eq!(mutant("start();").applied_to("a(); start();"), Ok("a(); start(); start();".into()));
    assert!(mutant("start();").applied_to("a();").unwrap_err().contains("is 0 times in src/plan.rs"));
    assert!(mutant("start();").applied_to("start(); start();").unwrap_err().contains("is 2 times"));
    assert!(mutant("start(); start();").applied_to("start(); start();").unwrap_err().contains("equal"));
}

fn complaints(mutants: &[Mutant], page: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("src")).unwrap();
    std::fs::write(root.path().join("src/plan.rs"), "start();").unwrap();
    let tests = Tests::of(&["fleet-agent plan::tests::one_runs"]);
    let all = problems(root.path(), mutants, &invariants::Page::of(page), &tests);
    all.into_iter().filter(|problem| !problem.contains("nothing breaks")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_mutant_that_applies_and_is_linked_and_guarded_is_right() {
    assert_eq!(complaints(&[mutant("start();")], "## INV-1 One\n* `starts-two`"), "");
}

#[test]
fn drift_of_code_page_and_tests_is_told() {
    let page = "## INV-1 One\n* `starts-two`";
    let unguarded = Mutant { guards: vec!["lib plan::tests::gone".into()], ..mutant("start();") };
    let nowhere = Mutant { file: "src/gone.rs".into(), ..mutant("start();") };
    for (mutants, page, told) in [
        (vec![mutant("stop();")], page, "does not apply any more"),
        (vec![mutant("start();")], "## INV-1 One", "INV-1 in docs/invariants.md does not name `starts-two`"),
        (vec![unguarded], page, "there is no test `lib plan::tests::gone`"),
        (vec![nowhere], page, "src/gone.rs"),
        (vec![mutant("start();"), mutant("start();")], page, "another one has this name"),
        (vec![Mutant { guards: vec![], ..mutant("start();") }], page, "names no test"),
    ] {
        let complaints = complaints(&mutants, page);
        assert!(complaints.contains(told), "{told}: {complaints}");
    }
}

#[test]
fn every_invariant_that_has_to_be_broken_is_broken() {
    let page = invariants::Page::of("## INV-1 One\n* `starts-two`");
    let tests = Tests::of(&["fleet-agent plan::tests::one_runs"]);
    let all = problems(Path::new("/nonexistent"), &[mutant("start();")], &page, &tests);
    assert_eq!(all.iter().filter(|problem| problem.contains("nothing breaks")).count(), REQUIRED.len() - 1);
}
