//! The wrapper around everything the agent keeps on its disk: what it is, how long, and a checksum.
//!
//! ```text
//! offset  0  magic    "FLTA"
//!         4  version  1
//!         5  kind     1 deployment, 2 followed bucket, 3 epoch, 4 images
//!         6  length   of the payload, u32 little endian
//!        10  SHA-256  of bytes 0..10 and the payload
//!        42  payload  MessagePack with named fields
//! ```
use ring::digest;

const MAGIC: [u8; 4] = *b"FLTA";
const VERSION: u8 = 1;
const HEAD: usize = 10;
const OVERHEAD: usize = HEAD + digest::SHA256_OUTPUT_LEN;

/// What a file holds, so that no file is ever taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Deployment = 1,
    Followed = 2,
    Epoch = 3,
    Images = 4,
}

/// Why a sealed file is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("{0} bytes is too short")]
    Short(usize),
    #[error("it does not begin like a file of this agent")]
    Magic,
    #[error("envelope version {0} is not known to this agent")]
    Version(u8),
    #[error("it holds another kind of record ({0})")]
    Kind(u8),
    #[error("{actual} bytes where the envelope says {stated}")]
    Length { stated: u64, actual: u64 },
    #[error("the checksum does not match")]
    Checksum,
}

/// Wraps a payload. Fails only above 4 GiB.
pub fn seal(kind: Kind, payload: &[u8]) -> Result<Vec<u8>, std::num::TryFromIntError> {
    let length = u32::try_from(payload.len())?;
    let mut sealed = Vec::with_capacity(OVERHEAD + payload.len());
    sealed.extend_from_slice(&MAGIC);
    sealed.extend_from_slice(&[VERSION, kind as u8]);
    sealed.extend_from_slice(&length.to_le_bytes());
    let sum = checksum(&sealed, payload);
    sealed.extend_from_slice(sum.as_ref());
    sealed.extend_from_slice(payload);
    Ok(sealed)
}

/// The payload of a sealed file, or what is wrong with it.
pub fn open(kind: Kind, sealed: &[u8]) -> Result<&[u8], Damage> {
    let (Some(head), Some(payload)) = (sealed.first_chunk::<HEAD>(), sealed.get(OVERHEAD..)) else {
        return Err(Damage::Short(sealed.len()));
    };
    let [m0, m1, m2, m3, version, found, l0, l1, l2, l3] = *head;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(Damage::Magic);
    }
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    if found != kind as u8 {
        return Err(Damage::Kind(found));
    }
    let stated = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    if stated != payload.len() as u64 {
        return Err(Damage::Length { stated, actual: payload.len() as u64 });
    }
    if checksum(head, payload).as_ref() != &sealed[HEAD..OVERHEAD] {
        return Err(Damage::Checksum);
    }
    Ok(payload)
}

fn checksum(head: &[u8], payload: &[u8]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(head);
    context.update(payload);
    context.finish()
}

#[cfg(test)]
mod tests;
