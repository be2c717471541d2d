//! Tables without borders, as `kubectl` and `podman` print them: easy to read and to `grep`.
use super::clean;
use crate::output::{Style, Tone};
use comfy_table::{ContentArrangement, Table, presets};

pub struct Row {
    pub tone: Tone,
    pub cells: Vec<String>,
}

impl Row {
    pub fn new(tone: Tone, cells: impl IntoIterator<Item = String>) -> Self {
        Self { tone, cells: cells.into_iter().collect() }
    }
}

/// A heading and a line per row. Every line ends with a newline, none with a space.
pub fn table(headings: &[&str], rows: Vec<Row>, style: Style) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.to_vec());
    let tones: Vec<Tone> = [Tone::Heading].into_iter().chain(rows.iter().map(|row| row.tone)).collect();
    for row in rows {
        // One row is one line, whatever a device writes into its messages.
        table.add_row(row.cells.iter().map(|cell| clean(cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().zip(tones);
    lines.map(|(line, tone)| style.paint(tone, line.trim_end()) + "\n").collect()
}
