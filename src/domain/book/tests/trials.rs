//! Whatever happens in whatever order: a document is acted on until it ended the process twice or its reconciler was
//! given up, and never after that, until another one or somebody ends the quarantine.
use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Event {
    /// It ended the process: the next one counts that.
    Ended,
    GivenUp,
    PutAgain,
    PutAnother,
    Released,
    /// `kill -9` between two events.
    Killed,
}

fn any_event() -> impl Strategy<Value = Event> {
    use Event::*;
    prop_oneof![Just(Ended), Just(GivenUp), Just(PutAgain), Just(PutAnother), Just(Released), Just(Killed)]
}

/// What is expected, told as simply as possible.
#[derive(Debug, Default)]
struct Expected {
    ends: u32,
    is_quarantined: bool,
}

impl Expected {
    fn after(&mut self, event: Event) {
        match event {
            Event::Ended => {
                self.ends += 1;
                self.is_quarantined |= self.ends >= 2;
            }
            Event::GivenUp => self.is_quarantined = true,
            Event::PutAnother => *self = Self::default(),
            Event::Released if self.is_quarantined => *self = Self::default(),
            Event::Released | Event::PutAgain | Event::Killed => {}
        }
    }
}

proptest! {
    #[test]
    fn a_document_is_acted_on_until_it_did_harm_twice_and_not_after(
        events in proptest::collection::vec(any_event(), 0..30),
    ) {
        let mut book = book(vec![]);
        let (mut revision, mut image) = (1, 0);
        let mut disk = put(&mut book, "0", revision);
        let mut expected = Expected::default();
        for event in events {
            let written = match event {
                Event::Ended => {
                    book = self::book(vec![disk.clone()]);
                    let counted = book.blame(&name(), "aborted");
                    prop_assert!(book.duty(&name()).is_none(), "not before it is counted");
                    counted
                }
                Event::GivenUp => book.parked(&name(), "panic"),
                Event::PutAgain | Event::PutAnother => {
                    revision += 1;
                    image += u32::from(matches!(event, Event::PutAnother));
                    book.hint(&entry(&image.to_string(), revision)).unwrap().records.pop()
                }
                Event::Released => book.release(&name()),
                Event::Killed => {
                    book = self::book(vec![disk.clone()]);
                    None
                }
            };
            if let Some(record) = written {
                disk = record.clone();
                book.saved(record);
            }
            expected.after(event);
            let acted_on = matches!(book.duty(&name()), Some(Duty::Run(_)));
            prop_assert_eq!(acted_on, !expected.is_quarantined, "{:?}", expected);
            prop_assert_eq!(book.is_quarantined(&name()), expected.is_quarantined);
            prop_assert_eq!(disk.trial.ends, expected.ends);
            prop_assert_eq!(disk.revision, revision);
        }
    }
}
