use super::*;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Says where its storage is, and knows nothing else. What is there is synced at once: it is no disk.
pub(in super::super) struct Podman(TempDir);

impl Podman {
    pub(in super::super) fn answers() -> Self {
        let podman = Self(tempfile::tempdir().unwrap());
        let listener = UnixListener::bind(podman.socket()).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let body = r#"{"DockerRootDir":"/proc"}"#;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        podman
    }

    pub(in super::super) fn socket(&self) -> PathBuf {
        self.0.path().join("podman.sock")
    }

    fn marker(&self) -> PathBuf {
        self.0.path().join("unsynced")
    }

    /// Of a process that begins.
    fn process(&self) -> Syncs {
        Syncs::new(self.socket(), Some(self.marker()))
    }
}

#[test]
fn a_sync_counts_for_what_had_landed_when_it_began_only() {
    let mut book = Book::default();
    book.landed("web:1");
    let at = book.turn;
    book.landed("db:1");
    book.landed("web:1");
    book.landed("old:1");
    book.synced(at);
    assert_eq!(book.landed.keys().collect::<Vec<_>>(), ["db:1", "old:1", "web:1"]);
    book.synced(book.turn);
    assert!(book.landed.is_empty());
}

#[tokio::test]
async fn a_sync_that_could_not_be_made_is_still_to_be_made() {
    let syncs = Syncs::new("/nowhere/podman.sock".into(), None);
    drop(syncs.landing("web:1").await);
    let refused = syncs.settle("web:1").await.unwrap_err();
    assert!(refused.says("not safely on the disk yet"), "{refused:?}");
    assert!(syncs.is_open("web:1").await);
}

#[tokio::test]
async fn while_a_sync_takes_long_one_more_is_waited_for_by_all() {
    let syncs = Syncs::new("/nowhere/podman.sock".into(), None);
    let running = syncs.one.clone().lock_owned().await;
    let next = syncs.begin();
    assert!(next.ptr_eq(&syncs.begin()));
    drop(running);
    next.clone().await;
    assert!(!next.ptr_eq(&syncs.begin()));
}

#[tokio::test]
async fn a_pull_that_the_process_did_not_live_to_sync_is_synced_by_the_next_one_before_an_image_is_used() {
    let podman = Podman::answers();
    let first = podman.process();
    assert!(!first.is_open("web:1").await, "nothing was left");
    let pulling = first.landing("web:1").await;
    assert!(podman.marker().exists());
    let second = podman.process();
    assert!(second.is_open("web:1").await && second.is_open("db:1").await, "nobody knows which");
    second.settle("web:1").await.unwrap();
    assert!(!second.is_open("db:1").await);
    assert!(!podman.marker().exists());
    drop(pulling);
}

#[tokio::test]
async fn the_marker_stays_while_anything_is_on_its_way_and_goes_after_the_last_sync() {
    let podman = Podman::answers();
    let syncs = podman.process();
    let (slow, quick) = (syncs.landing("slow:1").await, syncs.landing("quick:1").await);
    quick.sync().await;
    assert!(!syncs.is_open("quick:1").await);
    assert!(podman.marker().exists(), "another one goes on");
    drop(slow);
    assert!(syncs.is_open("slow:1").await);
    syncs.settle("slow:1").await.unwrap();
    assert!(!podman.marker().exists());
    assert!(!podman.process().is_open("slow:1").await);
}

#[tokio::test]
async fn a_marker_that_cannot_be_made_holds_up_no_pull() {
    let podman = Podman::answers();
    let syncs = Syncs::new(podman.socket(), Some("/nowhere/unsynced".into()));
    syncs.landing("web:1").await.sync().await;
    assert!(!syncs.is_open("web:1").await);
}
