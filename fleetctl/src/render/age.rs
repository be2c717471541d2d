//! Durations as people say them.

/// In the largest unit of which there are at least two, such as `90s`, `3m`, `5h`, `12d`. A negative age,
/// of clocks that differ, is `0s`.
pub fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Milliseconds likewise, with one digit below ten seconds.
pub fn age_ms(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        _ => age(i64::try_from(ms / 1000).unwrap_or(i64::MAX)),
    }
}
