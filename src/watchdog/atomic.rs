//! Small files of the watchdog, written as a whole: the old text or the new, whatever happens in between.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Durable when it returns.
///
/// # Errors
/// The disk does not take it; then the old one is there.
pub fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let written = write_new(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Gives a full disk its bytes back.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_written_over_in_place_and_a_failed_write_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let (file, aside) = (dir.path().join("x"), dir.path().join("aside"));
        write(&file, b"old").unwrap();
        fs::hard_link(&file, &aside).unwrap();
        write(&file, b"new").unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!((read(&file).as_str(), read(&aside).as_str()), ("new", "old"));
        // Nothing can be made at the temporary file's place.
        fs::create_dir(dir.path().join("x.tmp")).unwrap();
        assert!(write(&file, b"newer").is_err());
        assert_eq!(read(&file), "new");
    }
}
