//! Draws a tree as text, with `├─`, `└─` and `│`: the one renderer of supervision trees, so that the
//! drawing in the agent's source and the live one of `fleetctl actors` can be compared by eye.
use std::fmt::Write;

/// Where the text column begins at the earliest: the drawing does not shift when an actor gets a
/// slightly longer name.
pub const TEXT_COLUMN: usize = 29;
/// Spaces that part the longest name from its text.
const GAP: usize = 2;

/// One line of a tree, in tree order (a parent, then everything below it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// 0 for a root. At most one more than the line before.
    pub depth: usize,
    pub name: String,
    /// What stands beside the name; empty for nothing. May hold terminal escapes: it is never measured.
    pub text: String,
}

impl Line {
    pub fn new(depth: usize, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { depth, name: name.into(), text: text.into() }
    }
}

/// The tree with its texts in one column. Every line ends with a newline, none with a space.
pub fn draw(lines: &[Line]) -> String {
    let depths: Vec<usize> = lines.iter().map(|line| line.depth).collect();
    let names: Vec<String> =
        branches(&depths).into_iter().zip(lines).map(|(branch, line)| branch + &line.name).collect();
    let longest = names.iter().map(|name| width(name)).max().unwrap_or_default();
    let column = TEXT_COLUMN.max(longest + GAP);
    names.iter().zip(lines).fold(String::new(), |mut drawing, (name, line)| {
        let gap = column.saturating_sub(width(name));
        let row = format!("{name}{:gap$}{}", "", line.text);
        // Writing into a String cannot fail.
        let _ = writeln!(drawing, "{}", row.trim_end());
        drawing
    })
}

/// What stands before each name, such as `│  ├─ `, for nodes of these depths in tree order.
pub fn branches(depths: &[usize]) -> Vec<String> {
    (0..depths.len()).map(|at| branch(depths, at)).collect()
}

fn branch(depths: &[usize], at: usize) -> String {
    let depth = depths[at];
    let bars = (1..depth).map(|level| if goes_on(depths, at, level) { "│  " } else { "   " });
    let own = match (depth, goes_on(depths, at, depth)) {
        (0, _) => "",
        (_, true) => "├─ ",
        (_, false) => "└─ ",
    };
    bars.chain([own]).collect()
}

/// Whether a later node of this level hangs on the same branch.
fn goes_on(depths: &[usize], at: usize, level: usize) -> bool {
    depths[at + 1..].iter().find(|depth| **depth <= level) == Some(&level)
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests;
