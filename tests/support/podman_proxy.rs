//! A unix socket in front of podman's own, that forwards everything but what a test says: such requests it
//! delays, holds, or forwards and then keeps the answer to itself. It remembers what was asked for.
#![allow(dead_code, reason = "each user of it uses another part")]
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never reaches podman, and is never answered.
    Held,
    /// Podman gets it and does it; the answer never comes.
    Unanswered,
    /// Podman gets it and does it; the connection breaks in the place of the answer.
    Cut,
}

struct Rule {
    /// `GET`, `POST`, `DELETE`.
    method: &'static str,
    /// What the path with its query contains.
    part: String,
    fate: Fate,
    /// None: every time.
    times: Option<usize>,
}

#[derive(Default)]
struct Book {
    rules: Vec<Rule>,
    /// How many requests met their fate.
    met: usize,
}

/// The first line of a request, and when it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub line: String,
    pub at: Instant,
}

pub struct PodmanProxy {
    socket: PathBuf,
    book: Arc<Mutex<Book>>,
    /// All requests, in their order.
    asked: Arc<watch::Sender<Vec<Asked>>>,
    server: JoinHandle<()>,
}

impl PodmanProxy {
    /// Listens on this new path.
    pub fn before(podman: PathBuf, socket: PathBuf) -> Self {
        let listener = UnixListener::bind(&socket).expect("a fresh path");
        let book = Arc::<Mutex<Book>>::default();
        let asked = Arc::new(watch::Sender::new(Vec::new()));
        let (rules, news) = (book.clone(), asked.clone());
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (podman, rules, news) = (podman.clone(), rules.clone(), news.clone());
                // It goes with its connection: a client that gives up ends both.
                tokio::spawn(async move { drop(serve(client, &podman, &rules, &news).await) });
            }
        });
        Self { socket, book, asked, server }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// From now on, this many times (None: until [`Self::let_through`]).
    pub fn do_to(&self, method: &'static str, part: &str, fate: Fate, times: Option<usize>) {
        self.book.lock().expect("no panic").rules.push(Rule { method, part: part.to_owned(), fate, times });
    }

    pub fn let_through(&self) {
        self.book.lock().expect("no panic").rules.clear();
    }

    /// Waits for such a request, the next one after the first `after` requests of any kind.
    pub async fn asked(&self, after: usize, method: &str, part: &str) {
        let is_meant = |asked: &Asked| asked.line.starts_with(method) && asked.line.contains(part);
        let mut asked = self.asked.subscribe();
        let came = asked.wait_for(|all| all.iter().skip(after).any(is_meant)).await;
        drop(came.expect("the sender is ours"));
    }

    /// All requests after the first `after`.
    pub fn requests(&self, after: usize) -> Vec<Asked> {
        self.asked.borrow().iter().skip(after).cloned().collect()
    }

    pub fn asked_so_far(&self) -> usize {
        self.asked.borrow().len()
    }

    /// How many requests met their fate.
    pub fn met(&self) -> usize {
        self.book.lock().expect("no panic").met
    }
}

impl Drop for PodmanProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One connection is one request: the agent's client makes one for each.
async fn serve(
    mut client: UnixStream,
    podman: &Path,
    book: &Mutex<Book>,
    asked: &watch::Sender<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    asked.send_modify(|all| all.push(Asked { line, at: Instant::now() }));
    let fate = fate(&head, &mut book.lock().expect("no panic"));
    if fate == Some(Fate::Held) {
        return until_given_up(&mut client).await;
    }
    let mut podman = UnixStream::connect(podman).await?;
    podman.write_all(&head).await?;
    match fate {
        None | Some(Fate::Held) => copy_bidirectional(&mut client, &mut podman).await.map(drop),
        Some(Fate::Cut) => {
            forward_body(&head, &mut client, &mut podman).await?;
            podman.read_u8().await.map(drop)
        }
        Some(Fate::Unanswered) => {
            forward_body(&head, &mut client, &mut podman).await?;
            podman.read_u8().await?;
            until_given_up(&mut client).await
        }
    }
}

fn fate(head: &[u8], book: &mut Book) -> Option<Fate> {
    let text = String::from_utf8_lossy(head);
    let (method, path) = text.lines().next()?.split_once(' ')?;
    let is_meant = |rule: &&mut Rule| {
        rule.method == method && path.contains(&rule.part) && rule.times.is_none_or(|times| times > 0)
    };
    let rule = book.rules.iter_mut().find(is_meant)?;
    rule.times = rule.times.map(|times| times - 1);
    book.met += 1;
    Some(rule.fate)
}

async fn forward_body(head: &[u8], client: &mut UnixStream, podman: &mut UnixStream) -> std::io::Result<()> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).await?;
    podman.write_all(&body).await
}

async fn until_given_up(client: &mut UnixStream) -> std::io::Result<()> {
    let mut rest = [0; 1024];
    while client.read(&mut rest).await? > 0 {}
    Ok(())
}
