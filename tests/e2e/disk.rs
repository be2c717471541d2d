//! Small filesystems under the agent's state directory, that run full and break. Needs root.
use crate::patience::{PATIENCE, within};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mount that goes with the test, also when that panics.
pub struct Disk {
    mount: PathBuf,
    /// Its loop device, such as `/dev/loop3`.
    device: Option<String>,
}

impl Disk {
    /// In memory, with so many bytes.
    pub fn in_memory(mount: &Path, bytes: u64) -> Self {
        fs::create_dir_all(mount).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"]).arg(mount));
        Self { mount: mount.to_owned(), device: None }
    }

    /// An ext4 in `image`, which turns read-only when it finds an error, as most devices' do.
    pub fn ext4(mount: &Path, image: &Path) -> Self {
        fs::create_dir_all(mount).unwrap();
        File::create(image).unwrap().set_len(16 << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image));
        let found = Command::new("losetup").args(["--find", "--show"]).arg(image).output().unwrap();
        let device = String::from_utf8(found.stdout).unwrap().trim().to_owned();
        let disk = Self { mount: mount.to_owned(), device: Some(device) };
        disk.mount();
        disk
    }

    pub fn mount(&self) {
        let device = self.device.as_ref().unwrap();
        run(Command::new("mount").args(["-o", "errors=remount-ro", device]).arg(&self.mount));
    }

    /// As the kernel does when it finds damage: read-only, whatever is open.
    pub fn break_down(&self) {
        let name = self.device.as_ref().unwrap().trim_start_matches("/dev/").to_owned();
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "1").unwrap();
    }

    /// What an operator does after that. Nobody may use it meanwhile.
    pub async fn repair(&self) {
        run(Command::new("umount").arg(&self.mount));
        let device = self.device.as_ref().unwrap();
        // A world of another test, begun meanwhile, has a copy of the mount as long as it lives.
        let check = async || match Command::new("fsck.ext4").arg("-fy").arg(device).output().unwrap() {
            // 1: errors were mended.
            checked if matches!(checked.status.code(), Some(0 | 1)) => Ok(()),
            checked => Err(format!("{checked:?}")),
        };
        within(2 * PATIENCE, check).await.unwrap();
        self.mount();
    }

    /// What an administrator does. Refused while a file is open for writing.
    pub fn read_only(&self, read_only: bool) {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        run(Command::new("mount").args(["-o", how]).arg(&self.mount));
    }

    pub fn fill(&self) {
        let mut file = File::create(self.mount.join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    pub fn make_room(&self) {
        fs::remove_file(self.mount.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
        if let Some(device) = &self.device {
            let _ = Command::new("losetup").args(["--detach", device]).status();
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Turns one bit in the middle of a file.
pub fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Leaves the first half of a file, as a write that was cut off does.
pub fn tear(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}
