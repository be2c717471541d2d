//! The example documents of the repository are documents.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
use fleet_contracts::desired::parse;
use std::path::Path;

#[test]
fn every_example_is_accepted_without_warnings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "json") {
            let parsed =
                parse(&std::fs::read(&file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            assert_eq!(parsed.warnings, [""; 0], "{}", file.display());
            read += 1;
        }
    }
    assert!(read >= 4, "the examples are gone");
}

#[test]
fn the_document_in_the_contract_page_is_accepted_and_its_digest_is_the_golden_one() {
    let page = include_str!("../../docs/contract.md");
    let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    parse(example.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}"));
    let minimal = include_str!("golden/minimal.json");
    let minimal: serde_json::Value = serde_json::from_str(minimal).unwrap();
    for text in ["canonical", "sha256"] {
        let text = minimal["specs"][0][text].as_str().unwrap();
        assert!(page.contains(text), "{text} is not in docs/contract.md");
    }
}
