//! How much must be free where images are kept before another one is fetched.
use std::path::Path;

const MIB: u64 = 1024 * 1024;

/// In MiB; 0: whatever is free is enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Floor(pub u64);

impl Floor {
    pub fn is_off(self) -> bool {
        self.0 == 0
    }

    /// Why nothing may be fetched with so many bytes free, if that is so.
    pub fn objection(self, path: &Path, free: u64) -> Option<String> {
        (free < self.0.saturating_mul(MIB)).then(|| {
            format!(
                "{}, less than the {} MiB of min_free_mb; make room (podman image prune), it goes on by itself",
                figures(path, free),
                self.0
            )
        })
    }
}

/// Whole MiB, rounded down: what is below a floor never looks as if it were not.
pub fn figures(path: &Path, free: u64) -> String {
    format!("{} MiB are free in {}", free / MIB, path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_less_than_the_floor_free_the_figures_and_the_way_out_are_told() {
        let path = Path::new("/storage");
        let why = Floor(64).objection(path, 64 * MIB - 1).unwrap();
        assert!(why.starts_with("63 MiB are free in /storage, less than the 64 MiB of min_free_mb"), "{why}");
        assert!(why.contains("podman image prune"), "{why}");
        assert_eq!(Floor(64).objection(path, 64 * MIB), None);
    }

    #[test]
    fn without_a_floor_nothing_is_too_little() {
        assert!(Floor(0).is_off());
        assert_eq!(Floor(0).objection(Path::new("/storage"), 0), None);
    }
}
