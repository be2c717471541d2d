//! What is really there, by podman's own command and /proc.
use crate::podman_world::PodmanWorld;
use serde_json::Value;
use std::collections::BTreeMap;

/// One container, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    /// None: no process of it lives.
    pub life: Option<Life>,
    pub labels: BTreeMap<String, String>,
}

/// A process that cannot be confused with a later one of the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub pid: u64,
    pub start_ticks: u64,
}

/// All containers of the world by name.
pub fn containers(world: &PodmanWorld) -> BTreeMap<String, Seen> {
    let listed: Value = serde_json::from_str(&world.podman(&["ps", "--all", "--format", "json"])).unwrap();
    let rows = listed.as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| (text(&row["Names"][0]), seen(row))).collect()
}

fn seen(row: &Value) -> Seen {
    let labels = row["Labels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| (key.clone(), text(value))).collect();
    Seen { id: text(&row["Id"]), life: row["Pid"].as_u64().and_then(life), labels }
}

/// The life of a pid, if it has one: what is dead and not reaped yet has none.
pub fn life(pid: u64) -> Option<Life> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let lives = pid != 0 && !matches!(fields[0], "Z" | "X");
    // proc(5): starttime is field 22, counted from 1.
    lives.then(|| Life { pid, start_ticks: fields[19].parse().unwrap() })
}

/// The pid of the conmon that watches over a container's process.
pub fn parent(pid: u64) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The names of networks or volumes that the agent made.
pub fn ours(world: &PodmanWorld, kind: &str) -> Vec<String> {
    let names = world.podman(&[kind, "ls", "--quiet"]);
    names.lines().filter(|name| name.starts_with("fleet-")).map(str::to_owned).collect()
}

/// What an HTTP client in the world gets, if anything.
pub fn http(world: &PodmanWorld, url: &str) -> Result<String, String> {
    let output = world.inside("curl").args(["--silent", "--show-error", "--max-time", "5", url]).output();
    let output = output.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
