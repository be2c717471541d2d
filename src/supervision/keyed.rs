//! Directory of keyed children.
use super::address::Address;
use super::spec::ChildSpec;
use super::supervisor::Order;
use ractor::ActorRef;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which keys are wanted, and where their children are. It is the wanted set itself: a keyed supervisor that
/// is restarted reads it and starts every child again but those that are parked.
pub struct Keyed<K, M> {
    inner: Arc<Mutex<Inner<K, M>>>,
}

struct Inner<K, M> {
    wanted: BTreeMap<K, Seat<M>>,
    supervisor: Option<ActorRef<Order>>,
}

struct Seat<M> {
    address: Address<M>,
    /// The last crash of one that is parked. Kept here, so that it outlives supervisor and listeners.
    parked: Option<String>,
}

impl<M: Send + 'static> Seat<M> {
    fn new() -> Self {
        Self { address: Address::new(), parked: None }
    }
}

impl<K, M> Clone for Keyed<K, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K: Ord + Clone + Display, M: Send + 'static> Default for Keyed<K, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone + Display, M: Send + 'static> Keyed<K, M> {
    pub fn new() -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { wanted: BTreeMap::new(), supervisor: None })) }
    }

    /// Wants a child for the key. One that runs, or backs off, is left alone; a parked one starts again.
    /// It is not up yet when this returns: see the `on_up` hook of [`keyed`](super::keyed()).
    pub fn ensure(&self, key: K) {
        self.want(key, false);
    }

    /// The same for a child that has another task now: what it did with the one before does not count.
    pub fn renew(&self, key: K) {
        self.want(key, true);
    }

    fn want(&self, key: K, anew: bool) {
        let mut inner = self.lock();
        let name = key.to_string();
        inner.wanted.entry(key).or_insert_with(Seat::new).parked = None;
        // Under the lock, so that orders arrive in the order of the changes.
        inner.tell(Order::Ensure { name, anew });
    }

    /// The child is stopped in order; one that waits for its restart does not come back.
    pub fn retire(&self, key: &K) {
        let mut inner = self.lock();
        if inner.wanted.remove(key).is_some() {
            inner.tell(Order::Retire(key.to_string()));
        }
    }

    /// False: nobody is there now, and the message is dropped.
    pub fn send(&self, key: &K, message: M) -> bool {
        let address = self.lock().wanted.get(key).map(|seat| seat.address.clone());
        address.is_some_and(|address| address.send(message))
    }

    /// Returns to whom it went.
    pub fn broadcast(&self, message: impl Fn(&K) -> M) -> Vec<K> {
        let all = self.lock().addresses();
        all.into_iter().filter(|(key, address)| address.send(message(key))).map(|(key, _)| key).collect()
    }

    /// Those that crashed too often and stay down, with their last crash.
    pub fn parked(&self) -> Vec<(K, String)> {
        let inner = self.lock();
        let parked = inner.wanted.iter().filter_map(|(key, seat)| Some((key.clone(), seat.parked.clone()?)));
        parked.collect()
    }

    /// The wanted keys, running or not.
    pub fn keys(&self) -> Vec<K> {
        self.lock().wanted.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone, M> Inner<K, M> {
    fn addresses(&self) -> Vec<(K, Address<M>)> {
        self.wanted.iter().map(|(key, seat)| (key.clone(), seat.address.clone())).collect()
    }
}

impl<K, M> Inner<K, M> {
    /// A supervisor that is not there now reads the whole set when it starts.
    fn tell(&self, order: Order) {
        if let Some(supervisor) = &self.supervisor {
            let _ = supervisor.send_message(order);
        }
    }
}

/// A [`Keyed`] as its supervisor sees it: without its types.
pub(super) trait Directory: Send + Sync {
    /// From now on orders go to `supervisor`; returns the children wanted now, and whether each is parked.
    fn attach(&self, supervisor: ActorRef<Order>) -> Vec<(ChildSpec, bool)>;
    fn child(&self, name: &str) -> Option<ChildSpec>;
    /// The child stays down after this crash; None: it does not any more.
    fn park(&self, name: &str, failure: Option<&str>);
}

pub(super) struct KeyedChildren<K, M> {
    pub keyed: Keyed<K, M>,
    #[allow(clippy::type_complexity)]
    pub describe: Box<dyn Fn(&K, Address<M>) -> ChildSpec + Send + Sync>,
}

impl<K, M> Directory for KeyedChildren<K, M>
where
    K: Ord + Clone + Display + Send + Sync + 'static,
    M: Send + 'static,
{
    fn attach(&self, supervisor: ActorRef<Order>) -> Vec<(ChildSpec, bool)> {
        let wanted: Vec<_> = {
            let mut inner = self.keyed.lock();
            inner.supervisor = Some(supervisor);
            let seats = inner.wanted.iter();
            seats.map(|(key, seat)| (key.clone(), seat.address.clone(), seat.parked.is_some())).collect()
        };
        wanted.into_iter().map(|(key, address, parked)| ((self.describe)(&key, address), parked)).collect()
    }

    fn child(&self, name: &str) -> Option<ChildSpec> {
        let wanted = self.keyed.lock().addresses();
        let (key, address) = wanted.into_iter().find(|(key, _)| key.to_string() == name)?;
        Some((self.describe)(&key, address))
    }

    fn park(&self, name: &str, failure: Option<&str>) {
        let mut inner = self.keyed.lock();
        if let Some((_, seat)) = inner.wanted.iter_mut().find(|(key, _)| key.to_string() == name) {
            seat.parked = failure.map(str::to_owned);
        }
    }
}
