//! The way from an agent to its nats-server, which a test can cut and mend.
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Link {
    url: String,
    up: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Link {
    /// To the server at this URL.
    pub async fn to(url: &str) -> Self {
        let server = url.strip_prefix("nats://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let up = watch::Sender::new(true);
        let state = up.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                // Cut: closed at once.
                if *state.borrow() {
                    tokio::spawn(carry(agent, server.clone(), state.subscribe()));
                }
            }
        });
        Self { url, up, accepting }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// When this returns nothing passes any more.
    pub async fn cut(&self) {
        self.up.send_replace(false);
        self.up.closed().await;
    }

    pub fn mend(&self) {
        self.up.send_replace(true);
    }
}

async fn carry(mut agent: TcpStream, server: String, mut up: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut agent, &mut server) => {}
        _ = up.wait_for(|up| !up) => {}
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
