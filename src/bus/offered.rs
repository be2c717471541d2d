//! A service that outlives its reader for a moment: the actor that reads the requests may be restarted,
//! and a request that arrives meanwhile waits for the next reader instead of being lost with the last.
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How long a service without a reader is offered on, in seconds. A restarted actor is back well within
/// one; one that is parked must not look as if it answered (clients wait 5 s by default).
const GRACE: Duration = Duration::from_secs(3);

/// The one service of a bus. The lock is held by its reader.
pub(super) struct Offered<T>(Arc<Mutex<Kept<T>>>);

struct Kept<T> {
    /// Readers so far, so that a grace that ends late does not take the service from the next.
    readers: u64,
    requests: Option<BoxStream<'static, T>>,
}

impl<T> Clone for Offered<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Offered<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept { readers: 0, requests: None })))
    }
}

impl<T: Send + 'static> Offered<T> {
    /// The requests of the service that is still offered, or of a new one. Waits for the last reader to be
    /// dropped; beside one that stays, the new service is one of its own.
    ///
    /// # Errors
    /// Those of `begin`.
    pub async fn read<E>(
        &self,
        begin: impl Future<Output = Result<BoxStream<'static, T>, E>>,
    ) -> Result<BoxStream<'static, T>, E> {
        let Ok(mut kept) = tokio::time::timeout(GRACE, self.0.clone().lock_owned()).await else {
            return begin.await;
        };
        if kept.requests.is_none() {
            kept.requests = Some(begin.await?);
        }
        kept.readers += 1;
        Ok(Reader { kept: Some(kept), home: self.0.clone() }.boxed())
    }
}

struct Reader<T: Send + 'static> {
    /// None only while this is dropped.
    kept: Option<OwnedMutexGuard<Kept<T>>>,
    home: Arc<Mutex<Kept<T>>>,
}

impl<T: Send + 'static> Stream for Reader<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(kept) = self.kept.as_mut() else { return Poll::Ready(None) };
        let Some(requests) = kept.requests.as_mut() else { return Poll::Ready(None) };
        let request = ready!(requests.poll_next_unpin(cx));
        if request.is_none() {
            kept.requests = None;
        }
        Poll::Ready(request)
    }
}

impl<T: Send + 'static> Drop for Reader<T> {
    fn drop(&mut self) {
        let Some(mut kept) = self.kept.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(end_unless_read(self.home.clone(), kept.readers))),
            // The runtime has ended, and so has the connection.
            Err(_) => kept.requests = None,
        }
    }
}

async fn end_unless_read<T>(home: Arc<Mutex<Kept<T>>>, reader: u64) {
    tokio::time::sleep(GRACE).await;
    // Locked: somebody reads.
    if let Ok(mut kept) = home.try_lock()
        && kept.readers == reader
    {
        kept.requests = None;
    }
}
