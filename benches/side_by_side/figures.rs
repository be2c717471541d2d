//! Numbers, their spread, and the page they are written into.
use crate::Size;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const BEGIN: &str = "<!-- figures: written by scripts/bench -->";
const END: &str = "<!-- /figures -->";

/// Durations of one kind.
#[derive(Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = part * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        low + (high - low) * at.fract()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn text(&self) -> String {
        format!("{:.1} ms ({:.1} to {:.1})", self.median(), self.quantile(0.25), self.quantile(0.75))
    }
}

/// Rows of the table.
pub struct Page {
    rows: Vec<[String; 5]>,
    about: String,
}

impl Page {
    pub fn new(program: &Path, size: &Size) -> Self {
        let mut page = Self { rows: Vec::new(), about: about(size) };
        let bytes = std::fs::metadata(program).unwrap().len();
        page.row(
            "size of the program",
            format!("{bytes} bytes"),
            "",
            "at most 6 500 000",
            bytes <= 6_500_000,
        );
        page
    }

    fn add(&mut self, row: [String; 5]) {
        println!("  {}: {} {} {}", row[0], row[1], row[2], row[3]);
        self.rows.push(row);
    }

    /// Something with a goal.
    pub fn row(&mut self, what: &str, value: String, beside: &str, goal: &str, reached: bool) {
        let verdict = if reached { "reached" } else { "missed" };
        self.add([what.into(), value, beside.into(), goal.into(), verdict.into()]);
    }

    /// Something without.
    pub fn fact(&mut self, what: &str, value: String) {
        self.add([what.into(), value, String::new(), String::new(), String::new()]);
    }

    /// Pairs measured in turns; the ratio is that of each pair, its median.
    pub fn pair(&mut self, what: &str, agent: &Sample, bare: &Sample, goal: f64) {
        let ratios = Sample(agent.0.iter().zip(&bare.0).map(|(agent, bare)| agent / bare).collect());
        let ratio = ratios.median();
        let spread = format!("{:.2} to {:.2}", ratios.quantile(0.25), ratios.quantile(0.75));
        let value = format!("{ratio:.2} × ({spread}): {}", agent.text());
        let goal_text = format!("at most {goal:.2} ×");
        self.row(what, value, &format!("bare: {}", bare.text()), &goal_text, ratio <= goal);
    }

    pub fn table(&self) -> String {
        let mut text =
            format!("{}\n\n| what | agent | beside it | goal | |\n|---|---|---|---|---|\n", self.about);
        for row in &self.rows {
            writeln!(text, "| {} |", row.join(" | ")).unwrap();
        }
        text
    }

    /// Replaces what stands between the marks.
    pub fn write_into(&self, page: &Path) {
        let text = std::fs::read_to_string(page).unwrap();
        let (before, rest) = text.split_once(BEGIN).expect("the page has a mark where figures begin");
        let (_, after) = rest.split_once(END).expect("the page has a mark where figures end");
        std::fs::write(page, format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.table())).unwrap();
        println!("written into {}", page.display());
    }
}

fn about(size: &Size) -> String {
    let said = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    format!(
        "{} at commit {}: {} pairs, {} of {} deployments. {} cores ({}), {}, {}, {}; load before: {}.",
        said("date -u +%F"),
        said("git rev-parse --short HEAD"),
        size.pairs,
        size.crowd_pairs,
        size.crowd,
        said("nproc"),
        said("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1"),
        said("podman --version"),
        said("nats-server --version"),
        said("uname -sr"),
        said("cut -d' ' -f1 /proc/loadavg"),
    )
}

/// Processor time, as a part of a time on the clock.
pub fn share(used: Duration, of: Duration) -> String {
    let percent = used.as_secs_f64() / of.as_secs_f64() * 100.0;
    format!("{percent:.3} % of a core ({:.1} ms in {} s)", used.as_secs_f64() * 1000.0, of.as_secs())
}
