//! JSON or MessagePack with named fields, chosen by the first byte of what was received.
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How deep lists and maps may be nested. The reader's own limit for MessagePack, 1024, overflows a
/// stack of 2 MiB in a debug build, and a hostile request must not end the process; JSON has 128.
const MAX_DEPTH: usize = 128;

/// How one message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Json,
    MessagePack,
}

#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not valid MessagePack: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("cannot write MessagePack: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

impl Encoding {
    /// A first byte of 0x80–0x8f, 0xde or 0xdf is a MessagePack map; anything else, an empty
    /// payload included, is JSON.
    pub fn of(payload: &[u8]) -> Self {
        match payload.first() {
            Some(0x80..=0x8f | 0xde | 0xdf) => Self::MessagePack,
            _ => Self::Json,
        }
    }

    pub fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, CodecError> {
        Ok(match self {
            Self::Json => serde_json::to_vec(value)?,
            Self::MessagePack => rmp_serde::to_vec_named(value)?,
        })
    }

    pub fn decode<T: DeserializeOwned>(self, payload: &[u8]) -> Result<T, CodecError> {
        Ok(match self {
            Self::Json => serde_json::from_slice(payload)?,
            Self::MessagePack => {
                let mut reader = rmp_serde::Deserializer::from_read_ref(payload);
                reader.set_max_depth(MAX_DEPTH);
                T::deserialize(&mut reader)?
            }
        })
    }
    /// A command request: an empty payload is the request with nothing in it.
    pub fn decode_request<T: DeserializeOwned + Default>(self, payload: &[u8]) -> Result<T, CodecError> {
        if payload.is_empty() { Ok(T::default()) } else { self.decode(payload) }
    }
}

#[cfg(test)]
mod tests;
