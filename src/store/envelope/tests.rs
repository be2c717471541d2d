use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_was_sealed_opens_to_the_same_bytes(payload: Vec<u8>) {
        let sealed = seal(Kind::Deployment, &payload).unwrap();
        prop_assert_eq!(open(Kind::Deployment, &sealed), Ok(&payload[..]));
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes: Vec<u8>) {
        prop_assert!(open(Kind::Followed, &bytes).is_err());
    }
}

#[test]
fn every_shorter_length_is_refused() {
    let sealed = seal(Kind::Followed, b"payload").unwrap();
    for length in 0..sealed.len() {
        assert!(open(Kind::Followed, &sealed[..length]).is_err(), "{length} bytes were believed");
    }
}

#[test]
fn every_single_bit_flip_is_refused() {
    let sealed = seal(Kind::Followed, b"payload").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(Kind::Followed, &flipped).is_err(), "flip of bit {bit} was believed");
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let mut sealed = seal(Kind::Followed, b"payload").unwrap();
    sealed.push(0);
    assert_eq!(open(Kind::Followed, &sealed), Err(Damage::Length { stated: 7, actual: 8 }));
}

#[test]
fn one_kind_is_never_taken_for_another() {
    let sealed = seal(Kind::Followed, b"payload").unwrap();
    assert_eq!(open(Kind::Deployment, &sealed), Err(Damage::Kind(2)));
}

#[test]
fn the_layout_on_disk_never_changes() {
    let sealed = seal(Kind::Deployment, b"abc").unwrap();
    assert_eq!(&sealed[..HEAD], b"FLTA\x01\x01\x03\x00\x00\x00");
    assert_eq!(&sealed[OVERHEAD..], b"abc");
}
