//! Plain requests on podman's socket, for the answers that must be readable whatever words podman
//! uses. bollard's models are closed: one container in podman's state `stopped` (some milliseconds
//! after every exit) would make its whole list unreadable.
use super::errors::{Failure, chain};
use crate::runtime::process;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use tokio::net::UnixStream;

/// Largest answer that is read, in bytes: some thousand containers. A device has tens.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Longest line of a stream, in bytes: an event carries a container's labels.
const MAX_LINE: usize = 1024 * 1024;

/// What podman answered.
pub(super) struct Answer<T> {
    pub(super) value: T,
    /// Whether podman's processes can be looked up in our /proc: not when it lives in another pid
    /// namespace, which is so when only its socket was mounted into our container.
    pub(super) same_proc: bool,
}

/// One GET on a connection of its own, as podman may be restarted between any two.
pub(super) async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<Answer<T>, Failure> {
    let mut response = request(socket, path).await?;
    let body = response.whole().await?;
    let value = serde_json::from_slice(&body).map_err(|e| Failure::Unreadable(e.to_string()))?;
    Ok(Answer { value, same_proc: response.same_proc })
}

/// The same for an answer that is not JSON.
pub(super) async fn get_bytes(socket: &Path, path: &str) -> Result<Vec<u8>, Failure> {
    request(socket, path).await?.whole().await
}

/// The lines of an answer that never ends, from the moment when podman began it.
pub(super) async fn lines(
    socket: &Path,
    path: &str,
) -> Result<BoxStream<'static, Result<Vec<u8>, Failure>>, Failure> {
    let response = request(socket, path).await?;
    let lines = stream::unfold((response, Vec::new()), |(mut response, mut buffer)| async move {
        let line = response.line(&mut buffer).await.transpose()?;
        Some((line, (response, buffer)))
    });
    Ok(lines.boxed())
}

/// An answer whose body is on its way.
struct Response {
    same_proc: bool,
    body: Incoming,
    /// Moves the bytes while somebody waits for them.
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    /// The connection closes when its last sender goes.
    _sender: SendRequest<Empty<Bytes>>,
}

async fn request(socket: &Path, path: &str) -> Result<Response, Failure> {
    let stream = UnixStream::connect(socket).await.map_err(|e| unreachable(socket, &e))?;
    let same_proc = sees_peer(&stream);
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(path)
        .header("host", "podman")
        .header("connection", "close")
        .body(Empty::new())
        .map_err(|e| Failure::Unreadable(e.to_string()))?;
    let mut connection: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> = Box::pin(connection);
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let (head, connection) = tokio::select! {
        biased;
        head = &mut answer => (head, Some(connection)),
        end = &mut connection => match end {
            // It may be done with the bytes before the answer was taken.
            Ok(()) => (answer.await, None),
            Err(error) => (Err(error), None),
        },
    };
    let head = head.map_err(broken)?;
    let code = head.status().as_u16();
    let mut response = Response { same_proc, body: head.into_body(), connection, _sender: sender };
    match code {
        200..=299 => Ok(response),
        _ => Err(Failure::Status { code, message: message(&response.whole().await?) }),
    }
}

impl Response {
    async fn whole(&mut self) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(bytes) = self.bytes().await? {
            body.extend_from_slice(&bytes);
            if body.len() > MAX_ANSWER {
                return Err(Failure::Unreadable(format!("an answer of more than {MAX_ANSWER} bytes")));
            }
        }
        Ok(body)
    }

    /// None at the end.
    async fn line(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let rest = buffer.split_off(end + 1);
                return Ok(Some(std::mem::replace(buffer, rest)));
            }
            if buffer.len() > MAX_LINE {
                return Err(Failure::Unreadable(format!("a line of more than {MAX_LINE} bytes")));
            }
            match self.bytes().await? {
                Some(bytes) => buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    async fn bytes(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = match &mut self.connection {
                None => self.body.frame().await,
                Some(connection) => tokio::select! {
                    biased;
                    frame = self.body.frame() => frame,
                    // What it read is still in the body, and so is its error.
                    _ = connection => {
                        self.connection = None;
                        continue;
                    }
                },
            };
            match frame.transpose().map_err(broken)?.map(|frame| frame.into_data()) {
                None => return Ok(None),
                Some(Ok(bytes)) => return Ok(Some(bytes)),
                // Trailers.
                Some(Err(_)) => {}
            }
        }
    }
}

fn unreachable(socket: &Path, error: &std::io::Error) -> Failure {
    Failure::Connection(format!("{}: {error}", socket.display()))
}

fn broken(error: hyper::Error) -> Failure {
    Failure::Connection(chain(&error))
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
    peer(stream).is_some_and(process::shares_pids)
}

/// The pid of whoever listens on the socket.
pub(super) fn peer(stream: &UnixStream) -> Option<u32> {
    let pid = stream.peer_cred().ok()?.pid().and_then(|pid| u32::try_from(pid).ok());
    // The kernel translates it into our namespace, 0 where it has none there.
    pid.filter(|pid| *pid != 0)
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
