//! What stands where in a container: one place holds one thing, and nothing lies under another.
use super::path;
use super::report::{Report, quoted};

/// The runtime lays its own over these when the container starts: what was put there would not be seen.
const RUNTIMES_DIRECTORIES: [&str; 3] = ["dev", "proc", "sys"];
const RUNTIMES_FILES: [&str; 4] = ["etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv"];

/// What a path in the container is taken by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Mount,
    File,
}

/// The places of one service's volumes, files and secrets, and the path of the field that took each.
#[derive(Default)]
pub(super) struct Places {
    taken: Vec<(Vec<String>, Holds, String)>,
}

impl Places {
    pub(super) fn mount(&mut self, target: &str, field: String) {
        self.taken.push((parts(target), Holds::Mount, field));
    }

    /// Reports what is in the way of a file at this path.
    pub(super) fn file(&mut self, target: &str, field: String, report: &mut Report) {
        let wanted = parts(target);
        if let Some(message) = runtimes_own(target, &wanted).or_else(|| self.in_the_way(target, &wanted)) {
            report.problem(&field, message);
        }
        self.taken.push((wanted, Holds::File, field));
    }

    fn in_the_way(&self, target: &str, wanted: &[String]) -> Option<String> {
        let (_, holds, first) =
            self.taken.iter().find(|(other, _, _)| wanted.starts_with(other) || other.starts_with(wanted))?;
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
