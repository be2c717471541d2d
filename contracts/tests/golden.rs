//! The vectors in `golden/` are made by hand and by `sha256sum`, not by this crate: they hold other
//! implementations, and later versions of this one, to the same digests.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
use fleet_contracts::desired::{canonical_spec, parse};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Vector {
    document: serde_json::Value,
    /// The whole document in canonical form.
    canonical: String,
    /// One per service, in order.
    specs: Vec<Spec>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Spec {
    canonical: String,
    sha256: String,
}

fn vectors() -> Vec<(PathBuf, Vector)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let vector = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (path, vector)
    };
    files.map(read).collect()
}

fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_canonical_forms_and_their_digests_never_change() {
    let vectors = vectors();
    assert!(vectors.len() >= 5, "the vectors are gone");
    for (path, vector) in vectors {
        let parsed = parse(vector.document.to_string().as_bytes()).unwrap();
        assert_eq!(parsed.deployment.canonical(), vector.canonical, "{}", path.display());
        let lifecycle = &parsed.deployment.lifecycle;
        let canonical = parsed.deployment.services.iter().map(|service| canonical_spec(service, lifecycle));
        let specs: Vec<Spec> =
            canonical.map(|canonical| Spec { sha256: sha256(&canonical), canonical }).collect();
        assert_eq!(specs, vector.specs, "{}", path.display());
    }
}

#[test]
fn the_canonical_document_reads_as_the_same_deployment() {
    for (path, vector) in vectors() {
        let parsed = parse(vector.document.to_string().as_bytes()).unwrap();
        let again = parse(vector.canonical.as_bytes()).unwrap();
        assert_eq!(again.deployment, parsed.deployment, "{}", path.display());
    }
}
