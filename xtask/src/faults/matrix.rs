//! The rows of the fault matrix that this version answers for, and how each has to be shown.
use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Level {
    /// On real podman and nats-server.
    R,
    /// In simulation: fakes, virtual time.
    S,
    /// Both.
    B,
}

use Level::{B, R, S};

pub const REQUIRED: [(&str, Level); 60] = [
    ("F-01", B),
    ("F-02", B),
    ("F-03", B),
    ("F-04", B),
    ("F-05", B),
    ("F-06", B),
    ("F-07", B),
    ("F-08", B),
    ("F-09", R),
    ("F-10", R),
    ("F-11", B),
    ("F-12", B),
    ("F-13", R),
    ("F-14", R),
    ("F-16", R),
    ("F-17", R),
    ("F-18", R),
    ("F-20", B),
    ("F-21", B),
    ("F-22", B),
    ("F-23", R),
    ("F-24", B),
    ("F-25", B),
    ("F-26", B),
    ("F-27", B),
    ("F-28", B),
    ("F-29", B),
    ("F-30", B),
    ("F-31", B),
    ("F-32", B),
    ("F-33", S),
    ("F-34", B),
    ("F-35", B),
    ("F-36", R),
    ("F-39", R),
    ("F-40", R),
    ("F-42", B),
    ("F-43", B),
    ("F-44", B),
    ("F-45", B),
    ("F-46", B),
    ("F-47", B),
    ("F-48", R),
    ("F-49", B),
    ("F-52", B),
    ("F-53", B),
    ("F-54", B),
    ("F-55", B),
    ("F-56", B),
    ("F-58", R),
    ("F-59", R),
    ("F-60", B),
    ("F-62", B),
    ("F-63", S),
    ("F-64", B),
    ("F-65", R),
    ("F-66", S),
    ("F-69", R),
    ("F-70", B),
    ("F-72", B),
];

/// The parts of the matrix, by their last number.
pub const SECTIONS: [(u32, &str); 6] = [
    (22, "The agent's own process"),
    (41, "Desired state and NATS"),
    (61, "Podman and the containers"),
    (68, "Disk, time and memory"),
    (72, "Identity"),
    (86, "Commands and upgrades"),
];

/// The place of an id in `SECTIONS`.
pub fn section(id: &str) -> Option<usize> {
    let number: u32 = id.strip_prefix("F-").filter(|digits| digits.len() == 2)?.parse().ok()?;
    let is_in = |(last, _): &(u32, &str)| (1..=*last).contains(&number);
    SECTIONS.iter().position(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_unique_and_of_a_section() {
        assert!(REQUIRED.iter().zip(&REQUIRED[1..]).all(|((a, _), (b, _))| a < b));
        assert!(REQUIRED.iter().all(|(id, _)| section(id).is_some()));
    }

    #[test]
    fn an_id_has_two_digits_and_a_place() {
        assert_eq!(section("F-22"), Some(0));
        assert_eq!(section("F-23"), Some(1));
        for bad in ["F-00", "F-87", "F-1", "F-001", "G-01", "F-1x"] {
            assert_eq!(section(bad), None, "{bad}");
        }
    }
}
