//! Plain requests on podman's socket, for the answers that must be readable whatever words podman
//! uses. bollard's models are closed: one container in podman's state `stopped` (some milliseconds
//! after every exit) would make its whole list unreadable.
use super::errors::{Failure, chain};
use crate::runtime::process;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use tokio::net::UnixStream;

/// Largest answer that is read, in bytes: some thousand containers. A device has tens.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// What podman answered.
pub(super) struct Answer<T> {
    pub(super) value: T,
    /// Whether podman's processes can be looked up in our /proc: not when it lives in another pid
    /// namespace, which is so when only its socket was mounted into our container.
    pub(super) same_proc: bool,
}

/// One GET on a connection of its own, as podman may be restarted between any two.
pub(super) async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<Answer<T>, Failure> {
    let stream = UnixStream::connect(socket).await.map_err(|e| unreachable(socket, &e))?;
    let same_proc = sees_peer(&stream);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(path)
        .header("host", "podman")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| Failure::Unreadable(e.to_string()))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let code = response.status().as_u16();
        Ok::<_, Failure>((code, body(response.into_body()).await?))
    };
    tokio::pin!(exchange);
    // The connection moves the bytes, and may be done with that before the answer was taken.
    let (code, body) = tokio::select! {
        biased;
        done = &mut exchange => done?,
        end = connection => match end {
            Ok(()) => exchange.await?,
            Err(error) => return Err(broken(error)),
        },
    };
    match code {
        200..=299 => parse(&body).map(|value| Answer { value, same_proc }),
        _ => Err(Failure::Status { code, message: message(&body) }),
    }
}

fn unreachable(socket: &Path, error: &std::io::Error) -> Failure {
    Failure::Connection(format!("{}: {error}", socket.display()))
}

fn broken(error: hyper::Error) -> Failure {
    Failure::Connection(chain(&error))
}

async fn body(body: Incoming) -> Result<Bytes, Failure> {
    let whole = Limited::new(body, MAX_ANSWER).collect().await;
    whole.map(|body| body.to_bytes()).map_err(|e| Failure::Connection(chain(e.as_ref())))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|e| Failure::Unreadable(e.to_string()))
}

fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(said) => said.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

fn sees_peer(stream: &UnixStream) -> bool {
    // The kernel translates the peer's pid into our namespace, 0 where it has none there.
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid()).and_then(|pid| u32::try_from(pid).ok());
    pid.is_some_and(|pid| pid != 0 && process::find(pid).is_some())
}

/// Percent-encodes a query value or a path segment (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
