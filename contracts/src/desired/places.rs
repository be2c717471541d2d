//! What stands where in a container: one place holds one thing, and nothing lies under another.
use super::path;
use super::report::{Report, quoted};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The runtime lays its own over these when the container starts: what was put there would not be seen.
const RUNTIMES_DIRECTORIES: [&str; 3] = ["dev", "proc", "sys"];
const RUNTIMES_FILES: [&str; 4] = ["etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv"];

/// What a path in the container is taken by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Mount,
    File,
}

/// The places of one service's volumes, files and secrets, and the path of the field that took each first. In
/// order, so that what lies under a place follows it: a document has room for ten thousand of them.
#[derive(Default)]
pub(super) struct Places {
    taken: BTreeMap<Vec<String>, (Holds, String)>,
}

impl Places {
    pub(super) fn mount(&mut self, target: &str, field: String) {
        self.take(parts(target), Holds::Mount, field);
    }

    /// Reports what is in the way of a file at this path.
    pub(super) fn file(&mut self, target: &str, field: String, report: &mut Report) {
        let wanted = parts(target);
        if let Some(message) = runtimes_own(target, &wanted).or_else(|| self.in_the_way(target, &wanted)) {
            report.problem(&field, message);
        }
        self.take(wanted, Holds::File, field);
    }

    fn take(&mut self, place: Vec<String>, holds: Holds, field: String) {
        self.taken.entry(place).or_insert((holds, field));
    }

    fn in_the_way(&self, target: &str, wanted: &[String]) -> Option<String> {
        let above = (0..=wanted.len()).find_map(|depth| self.taken.get(&wanted[..depth]));
        let below = || {
            let (place, taken) =
                self.taken.range::<[String], _>((Bound::Included(wanted), Bound::Unbounded)).next()?;
            place.starts_with(wanted).then_some(taken)
        };
        let (holds, first) = above.or_else(below)?;
        let target = quoted(target);
        Some(match holds {
            Holds::Mount => format!("{target} clashes with the volume at {first}: one would hide the other"),
            Holds::File => format!("{target} clashes with the file at {first}: one path holds one file"),
        })
    }
}

fn parts(target: &str) -> Vec<String> {
    path::components(target).map(str::to_owned).collect()
}

fn runtimes_own(target: &str, wanted: &[String]) -> Option<String> {
    let below = wanted.first().is_some_and(|first| RUNTIMES_DIRECTORIES.contains(&first.as_str()));
    let is_one = RUNTIMES_FILES.contains(&wanted.join("/").as_str());
    (below || is_one).then(|| {
        format!(
            "{}: the runtime puts its own there when the container starts, choose another path",
            quoted(target)
        )
    })
}
