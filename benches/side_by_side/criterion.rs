//! What `cargo bench --bench pure` found, for the same page.
use crate::figures::Page;
use serde_json::Value;
use std::path::Path;

/// `directory` is Criterion's own, such as `target/criterion`: one directory for each bench.
pub fn results(directory: &Path, page: &mut Page) {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<(String, f64)> = entries.filter_map(|bench| result(&bench)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    for (what, nanoseconds) in found {
        page.fact(&format!("Criterion: {what}"), format!("{:.1} µs", nanoseconds / 1000.0));
    }
}

fn result(bench: &Path) -> Option<(String, f64)> {
    let read = |file: &str| -> Option<Value> {
        serde_json::from_slice(&std::fs::read(bench.join("new").join(file)).ok()?).ok()
    };
    let name = read("benchmark.json")?["title"].as_str()?.to_owned();
    Some((name, read("estimates.json")?["median"]["point_estimate"].as_f64()?))
}
