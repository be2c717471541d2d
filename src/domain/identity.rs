//! Whether another device goes by this one's name: a card that was cloned, an id that was given twice.
use super::time::Moment;
use std::time::Duration;

/// For how many of its own beats a device believes in the other after it saw it last. A heartbeat that
/// gets lost now and then must not make the reason come and go.
const BELIEVED_FOR: u32 = 10;

/// A heartbeat under this device's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub instance: String,
    pub seq: u64,
}

/// Processes that send heartbeats as this device and are not this process.
#[derive(Debug)]
pub struct Others {
    own: String,
    believed: Duration,
    last: Option<(Sighting, Moment)>,
    /// Whether the last one was the second of its time.
    again: bool,
}

impl Others {
    /// `own` is this process's instance, which beats `every` so often.
    pub fn new(own: String, every: Duration) -> Self {
        Self { own, believed: every * BELIEVED_FOR, last: None, again: false }
    }

    /// A heartbeat that was written since this process's last one. One alone says nothing: the process
    /// before this one may have had it under way when it ended, and a restored backup brings it back.
    pub fn saw(&mut self, sighting: Sighting, now: Moment) {
        let is_known = self.last.as_ref().is_some_and(|(last, _)| *last == sighting);
        if sighting.instance == self.own || is_known {
            return;
        }
        self.again = self.is_recent(now);
        self.last = Some((sighting, now));
    }

    pub fn are_there(&self, now: Moment) -> bool {
        self.again && self.is_recent(now)
    }

    fn is_recent(&self, now: Moment) -> bool {
        self.last.as_ref().is_some_and(|(_, at)| now.since(*at) < self.believed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    fn beat(instance: &str, seq: u64) -> Sighting {
        Sighting { instance: instance.into(), seq }
    }

    fn others(seen: &[(&str, u64, u64)]) -> Others {
        let mut others = Others::new("own".into(), EVERY);
        seen.iter().for_each(|(instance, seq, seconds)| others.saw(beat(instance, *seq), at(*seconds)));
        others
    }

    #[test]
    fn another_that_goes_on_beating_is_noticed_at_its_second_beat() {
        assert!(!others(&[("other", 7, 30)]).are_there(at(30)));
        assert!(others(&[("other", 7, 30), ("other", 8, 60)]).are_there(at(60)));
        // It is restarted again and again.
        assert!(others(&[("other", 1, 30), ("another", 1, 60)]).are_there(at(60)));
    }

    #[test]
    fn the_last_word_of_the_former_process_is_nobody() {
        let late = others(&[("former", 812, 1), ("former", 812, 31), ("former", 812, 61)]);
        assert!(!late.are_there(at(61)));
    }

    #[test]
    fn its_own_heartbeats_are_nobody_in_any_order() {
        assert!(!others(&[("own", 4, 30), ("own", 5, 60), ("own", 3, 61)]).are_there(at(61)));
    }

    #[test]
    fn it_is_over_ten_beats_after_the_other_fell_silent() {
        let others = others(&[("other", 7, 30), ("other", 8, 60)]);
        assert!(others.are_there(at(359)));
        assert!(!others.are_there(at(360)));
    }

    #[test]
    fn two_single_ones_far_apart_are_two_accidents() {
        assert!(!others(&[("former", 7, 30), ("backup", 1, 3000)]).are_there(at(3000)));
    }
}
