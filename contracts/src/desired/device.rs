//! Devices: `/dev/x[:/path/in/container][:rwm]`, as `podman run --device` takes them.
use super::Device;
use super::path;
use super::report::quoted;
use std::str::FromStr;

const FORM: &str = "use /dev/x[:/path/in/container][:rwm]";
const ALL: &str = "rwm";

impl FromStr for Device {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let parts: Vec<&str> = given.split(':').collect();
        let (host, target, permissions) = match parts[..] {
            [host] => (host, host, ALL),
            [host, target] if target.starts_with('/') => (host, target, ALL),
            [host, permissions] => (host, host, permissions),
            [host, target, permissions] => (host, target, permissions),
            _ => return Err(format!("{} has too many colons: {FORM}", quoted(given))),
        };
        path::check(host, "the path on the device", FORM)?;
        path::check(target, "the path in the container", FORM)?;
        if path::components(host).next() != Some("dev") || path::components(host).count() < 2 {
            return Err(format!("{} is not below /dev: {FORM}", quoted(host)));
        }
        Ok(Self { host: host.into(), target: target.into(), permissions: read_permissions(permissions)? })
    }
}

/// In one order, so that `wr` and `rw` are the same device.
fn read_permissions(given: &str) -> Result<String, String> {
    let known = !given.is_empty() && given.chars().all(|letter| ALL.contains(letter));
    let once = ALL.chars().filter(|letter| given.contains(*letter)).collect::<String>();
    if known && once.len() == given.len() {
        return Ok(once);
    }
    Err(format!("permissions {}: use r (read), w (write), m (mknod), each at most once", quoted(given)))
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.host)?;
        if self.target != self.host {
            write!(f, ":{}", self.target)?;
        }
        if self.permissions != ALL {
            write!(f, ":{}", self.permissions)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(given: &str) -> Result<String, String> {
        given.parse::<Device>().map(|device| device.to_string())
    }

    #[test]
    fn a_device_is_given_as_podman_takes_it_and_has_one_spelling() {
        for (given, expected) in [
            ("/dev/gpiomem", "/dev/gpiomem"),
            ("/dev/ttyUSB0:/dev/modem", "/dev/ttyUSB0:/dev/modem"),
            ("/dev/i2c-1:wr", "/dev/i2c-1:rw"),
            ("/dev/i2c-1:/dev/i2c-1:rwm", "/dev/i2c-1"),
            ("/dev/snd/seq:/dev/seq:r", "/dev/snd/seq:/dev/seq:r"),
        ] {
            assert_eq!(normal(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_device_is_refused_and_the_message_says_why() {
        for (given, word) in [
            ("gpiomem", "not absolute"),
            ("/dev", "not below /dev"),
            ("/etc/passwd", "not below /dev"),
            ("/dev/../etc/passwd", ".."),
            ("/dev/a:/b:rx", "permissions"),
            ("/dev/a:rr", "permissions"),
            ("/dev/a:", "permissions"),
            ("/dev/a:/b:r:w", "too many colons"),
        ] {
            let refusal = normal(given).expect_err(given);
            assert!(refusal.contains(word), "{given}: {refusal}");
        }
    }
}
