//! Bytes on the disks of devices.
use super::*;

/// As an agent without quarantine wrote it: neither `ends` nor `quarantined`.
const BEFORE_QUARANTINE: &str = "\
    464c544101016a0000007ab303803b85417d071ae06266b8e56583e15d53eac44a46b921bd90bbb0a3e586a17601a46e616d\
    65a3776562a87265766973696f6e07aa7772697474656e5f6174b4323032332d31312d31345432323a31333a32305aab696e\
    6361726e6174696f6eb4323032362d30312d30315430303a30303a30305aa8646f63756d656e74c4077b226e223a317d";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap()).collect()
}

fn record() -> Record {
    Record {
        name: "web".parse().unwrap(),
        revision: 7,
        written_at: Timestamp::from_unix_seconds(1_700_000_000).unwrap(),
        incarnation: Incarnation("2026-01-01T00:00:00Z".into()),
        wanted: Wanted::Present((*b"{\"n\":1}").into()),
        trial: Trial::default(),
        ends: Ends::new(),
    }
}

#[test]
fn a_record_from_before_there_was_a_quarantine_reads_as_one_of_a_document_that_did_nothing() {
    assert_eq!(open_record(&bytes(BEFORE_QUARANTINE), &"web".parse().unwrap()), Ok(record()));
}

/// So that it stays readable when the agent is set back.
#[test]
fn the_record_of_a_document_that_did_nothing_is_written_as_ever() {
    assert_eq!(seal_record(&record()).unwrap(), bytes(BEFORE_QUARANTINE));
}

fn owed() -> OwedStart {
    OwedStart { id: ContainerId::new("c0ffee"), started_at: record().written_at }
}

#[test]
fn how_jobs_ended_is_kept() {
    let at = Timestamp::from_unix_seconds(1_700_000_100).unwrap();
    let noted = |code: i64, said: Option<&str>| {
        let end = End { digest: SpecDigest::from_hex("ab"), code, said: said.map(String::from) };
        Noted { end, at }
    };
    let ends = [("a", noted(0, None)), ("b", noted(-1, Some("no \u{fc}")))];
    let ends = ends.into_iter().map(|(service, noted)| (service.parse().unwrap(), noted)).collect();
    let record = Record { ends, ..record() };
    let sealed = seal_record(&record).unwrap();
    assert_eq!(open_record(&sealed, &record.name), Ok(record));
}

#[test]
fn what_a_document_did_is_kept() {
    for trial in [
        Trial { ends: 1, quarantined: None, ..Trial::default() },
        Trial { ends: 0, quarantined: Some("its reconciler crashed".into()), ..Trial::default() },
        Trial { owed: [("a".parse().unwrap(), owed())].into(), ..Trial::default() },
        Trial { ends: u32::MAX, quarantined: Some(String::new()), ..Trial::default() },
    ] {
        let record = Record { trial, ..record() };
        let sealed = seal_record(&record).unwrap();
        assert_eq!(open_record(&sealed, &record.name), Ok(record));
    }
}

#[derive(Serialize)]
struct Before {
    v: u16,
    incarnation: String,
    last_sequence: u64,
    former_until: Option<Timestamp>,
}

/// Then the time of a write decides alone, as it did.
#[test]
fn of_a_bucket_found_reset_by_an_agent_that_did_not_note_how_far_it_went_that_is_not_known() {
    let followed = Followed {
        former_until: Some(record().written_at),
        ..Followed::new(Incarnation("2026-01-01T00:00:00Z~2".into()), 30)
    };
    let Followed { incarnation, last_sequence, former_until, .. } = followed.clone();
    let form = Before { v: V, incarnation: incarnation.0, last_sequence, former_until };
    let before = seal(Kind::Followed, &form).unwrap();
    assert_eq!(open_followed(&before), Ok(followed.clone()));
    assert_eq!(followed.former_sequence, u64::MAX);
}

#[test]
fn how_far_a_bucket_went_when_it_was_found_reset_is_kept() {
    let followed = Followed {
        acted_until: Some(record().written_at),
        former_until: Some(record().written_at),
        former_sequence: 30,
        ..Followed::new(record().incarnation, 31)
    };
    assert_eq!(open_followed(&seal_followed(&followed).unwrap()), Ok(followed));
}
