//! The file `suspects` in the state directory: documents that ended the process while it read them. They need not have
//! been accepted, so there is no record that could say so; and it is known before the first one is read.
use super::atomic;
use crate::domain::ledger::{Fingerprint, Shunned};
use fleet_contracts::DeploymentName;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const FILE: &str = "suspects";
/// So often a document may end the process that reads it before it is not read any more.
const ENDS: u32 = 2;
/// Of more documents than that, the oldest are read again.
const KEPT: usize = 64;
/// Above what so many take; a file that nobody limits must not fill memory.
const LONGEST_FILE: u64 = 64 * 1024;
const LONGEST_TEXT: usize = 200;

#[derive(Serialize, Deserialize)]
struct Form {
    /// Another version reads by other code: it counts anew.
    agent_version: String,
    /// Oldest first.
    documents: Vec<Suspect>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    deployment: DeploymentName,
    fingerprint: String,
    ends: u32,
    how: String,
}

/// Those of one state directory, as one version of the agent sees them.
#[derive(Debug)]
pub struct Suspects {
    path: PathBuf,
    agent_version: String,
    documents: Vec<Suspect>,
}

impl Suspects {
    pub fn of(state_dir: &Path, agent_version: &str) -> Self {
        let path = state_dir.join(FILE);
        let form: Option<Form> = read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let documents = form.filter(|form| form.agent_version == agent_version).map(|form| form.documents);
        Self { path, agent_version: agent_version.to_owned(), documents: documents.unwrap_or_default() }
    }

    /// The process before this one ended while it read this document.
    pub fn count(&mut self, deployment: DeploymentName, fingerprint: &Fingerprint, how: &str) {
        let fingerprint = fingerprint.to_string();
        let is_it = |known: &Suspect| known.deployment == deployment && known.fingerprint == fingerprint;
        let ends = self.documents.iter().find(|known| is_it(known)).map_or(0, |known| known.ends);
        self.documents.retain(|known| !is_it(known));
        let ends = ends.saturating_add(1);
        let how = how[..how.floor_char_boundary(LONGEST_TEXT)].to_owned();
        self.documents.push(Suspect { deployment, fingerprint, ends, how });
        let above = self.documents.len().saturating_sub(KEPT);
        self.documents.drain(..above);
        if let Err(error) = self.write() {
            tracing::warn!(%error, "a document that ends this agent cannot be counted: it is not read at all");
            self.documents.iter_mut().rev().take(1).for_each(|last| last.ends = last.ends.max(ENDS));
        }
    }

    fn write(&self) -> io::Result<()> {
        let form = Form { agent_version: self.agent_version.clone(), documents: self.documents.clone() };
        atomic::write(&self.path, &serde_json::to_vec(&form).map_err(io::Error::other)?)
    }

    /// Those that are not to be read any more.
    pub fn shunned(&self) -> Shunned {
        let worst = self.documents.iter().filter(|known| known.ends >= ENDS);
        let entry = |known: &Suspect| {
            let why = format!("reading it ended the agent's process {} times: {}", known.ends, known.how);
            Some(((known.deployment.clone(), Fingerprint::parse(&known.fingerprint)?), why))
        };
        worst.filter_map(entry).collect()
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST_FILE).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspects(dir: &Path) -> Suspects {
        Suspects::of(dir, "1")
    }

    #[test]
    fn a_document_that_ends_its_reader_twice_is_shunned_and_no_other_one_of_its_deployment() {
        let dir = tempfile::tempdir().unwrap();
        let (bad, good) = (Fingerprint::of(b"bad"), Fingerprint::of(b"good"));
        let web: DeploymentName = "web".parse().unwrap();
        for ends in 1..=2 {
            suspects(dir.path()).count(web.clone(), &bad, "aborted by SIGABRT");
            let shunned = suspects(dir.path()).shunned();
            assert_eq!(shunned.contains_key(&(web.clone(), bad.clone())), ends == 2);
            assert!(!shunned.contains_key(&(web.clone(), good.clone())));
        }
        assert!(Suspects::of(dir.path(), "2").shunned().is_empty(), "another version reads by other code");
    }

    #[test]
    fn an_unreadable_file_accuses_nobody_and_a_full_one_forgets_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "no list").unwrap();
        let mut all = suspects(dir.path());
        assert!(all.shunned().is_empty());
        for n in 0..2 * KEPT {
            let name: DeploymentName = format!("d{n}").parse().unwrap();
            (0..2).for_each(|_| all.count(name.clone(), &Fingerprint::of(b"x"), "why"));
        }
        let left = suspects(dir.path()).shunned();
        assert_eq!(left.len(), KEPT);
        assert!(left.keys().all(|(name, _)| name.as_str() != "d0"));
        assert!(std::fs::metadata(dir.path().join(FILE)).unwrap().len() < LONGEST_FILE);
    }

    /// Else it would be read, end the process and not be counted, for ever.
    #[test]
    fn what_cannot_be_counted_is_not_read_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = suspects(&dir.path().join("missing"));
        all.count("web".parse().unwrap(), &Fingerprint::of(b"x"), "why");
        assert_eq!(all.shunned().len(), 1);
    }
}
