//! Names of signals, as signal(7) lists them for Linux.
use super::Signal;
use super::report::quoted;
use std::str::FromStr;

const NAMES: [&str; 34] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CLD", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
    "WINCH", "IO", "POLL", "PWR", "SYS", "RTMIN", "RTMAX",
];
/// Highest n in `SIGRTMIN+n`, and in `SIGRTMAX-n`: together with the plain names they cover the 31
/// real-time signals that a C library leaves to programs.
const RTMIN_PLUS: u8 = 15;
const RTMAX_MINUS: u8 = 14;

impl FromStr for Signal {
    type Err = String;

    /// A name with or without `SIG`, in any case, to its full form `SIG…`.
    fn from_str(given: &str) -> Result<Self, String> {
        let upper = given.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if name == "STOP" || name == "CONT" {
            return Err(format!("SIG{name} cannot end a process: name one that can, such as SIGTERM"));
        }
        if NAMES.contains(&name) || is_real_time(name) {
            return Ok(Self(format!("SIG{name}")));
        }
        Err(format!(
            "{} is no signal of Linux: give a name such as SIGTERM, SIGINT or SIGRTMIN+3",
            quoted(given)
        ))
    }
}

fn is_real_time(name: &str) -> bool {
    let within = |digits: &str, max: u8| {
        let number = digits.parse::<u8>().ok();
        // The plain spelling only, so that one signal has one name: no "+03", no "++3".
        number.is_some_and(|n| (1..=max).contains(&n) && n.to_string() == digits)
    };
    match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(digits), _) => within(digits, RTMIN_PLUS),
        (_, Some(digits)) => within(digits, RTMAX_MINUS),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests;
