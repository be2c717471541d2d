//! A copy of the work tree in which mutants live, with a target directory of its own. The tree that
//! people work in is never changed, also not for a moment.
use crate::project::output;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Copy {
    pub tree: PathBuf,
    pub target: PathBuf,
}

impl Copy {
    /// Makes it, or brings it up to date: what is equal keeps its times, and is not built again.
    pub fn of(root: &Path) -> Result<Self> {
        let place = root.join("target/mutants");
        let copy = Self { tree: place.join("tree"), target: place.join("target") };
        let listed = output(Command::new("git").current_dir(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let files: BTreeSet<&Path> =
            listed.split('\0').map(Path::new).filter(|file| root.join(file).is_file()).collect();
        for file in &files {
            bring(&root.join(file), &copy.tree.join(file)).with_context(|| file.display().to_string())?;
        }
        drop_others(&copy.tree, &copy.tree, &files)?;
        if !copy.target.exists() {
            seed(&root.join("target/debug"), &copy.target.join("debug"))?;
        }
        Ok(copy)
    }
}

fn bring(from: &Path, to: &Path) -> Result<()> {
    if fs::read(to).is_ok_and(|there| fs::read(from).is_ok_and(|wanted| wanted == there)) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("it has a directory")?)?;
    fs::copy(from, to)?;
    Ok(())
}

/// What the tree has no more: a test file of yesterday would be built and run.
fn drop_others(tree: &Path, directory: &Path, files: &BTreeSet<&Path>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            drop_others(tree, &path, files)?;
        } else if !path.strip_prefix(tree).is_ok_and(|file| files.contains(file)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The dependencies that are built already: minutes of compiling. Only what the compiler reads again,
/// with its times, by which cargo knows it; programs are larger, and are made anew anyhow.
fn seed(from: &Path, to: &Path) -> Result<()> {
    for part in ["build", ".fingerprint", "deps"] {
        if from.join(part).is_dir() {
            copy_built(&from.join(part), &to.join(part), part == "deps")?;
        }
    }
    Ok(())
}

fn copy_built(from: &Path, to: &Path, only_libraries: bool) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let to = to.join(path.file_name().context("an entry has a name")?);
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if path.is_dir() {
            copy_built(&path, &to, only_libraries)?;
        } else if !only_libraries || matches!(extension, "rlib" | "rmeta" | "so" | "d" | "a") {
            fs::copy(&path, &to)?;
            File::options().write(true).open(&to)?.set_modified(fs::metadata(&path)?.modified()?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_copy_follows_the_tree_and_takes_nothing_that_is_ignored() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let git = Command::new("git").args(["init", "-q"]).current_dir(root).status().unwrap();
        assert!(git.success());
        write(root, ".gitignore", "/target\n");
        write(root, "src/a.rs", "a");
        write(root, "src/b.rs", "b");
        write(root, "target/debug/deps/libx.rlib", "built");
        write(root, "target/debug/deps/program", "large");
        let copy = Copy::of(root).unwrap();
        assert_eq!(fs::read_to_string(copy.tree.join("src/a.rs")).unwrap(), "a");
        assert!(copy.target.join("debug/deps/libx.rlib").exists());
        assert!(!copy.target.join("debug/deps/program").exists());
        assert!(!copy.tree.join("target").exists());

        write(root, "src/a.rs", "changed");
        fs::remove_file(root.join("src/b.rs")).unwrap();
        write(root, "src/c.rs", "not committed yet");
        Copy::of(root).unwrap();
        assert_eq!(fs::read_to_string(copy.tree.join("src/a.rs")).unwrap(), "changed");
        assert!(!copy.tree.join("src/b.rs").exists());
        assert!(copy.tree.join("src/c.rs").exists());
    }
}
