//! How much of request bodies is held at a time, and of that by each address.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::network;

/// What each address that is here has: a share of the memory for bodies, and how often it is here. Nothing is kept of
/// those who left.
#[derive(Clone)]
pub(crate) struct Shares {
    all: Arc<Semaphore>,
    bytes_per_address: usize,
    by_address: Arc<Mutex<HashMap<IpAddr, Share>>>,
}

struct Share {
    visits: usize,
    room: Arc<Semaphore>,
}

/// That an address is here; over when dropped.
pub(crate) struct Visit {
    memory: BodyMemory,
    address: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, Share>>>,
}

impl Shares {
    /// So many bytes in all, and so many of them for one address.
    pub(crate) fn new(bytes: usize, bytes_per_address: usize) -> Self {
        Self { all: room(bytes), bytes_per_address, by_address: Arc::default() }
    }

    /// Lets an address be here once more, unless it is here so often already. Of IPv6 one /64 is one address.
    pub(crate) fn enter(&self, address: IpAddr, most: usize) -> Option<Visit> {
        let address = network(address);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Share { visits: 0, room: room(self.bytes_per_address) };
        let share = by_address.entry(address).or_insert_with(new);
        if share.visits >= most {
            return None;
        }
        share.visits += 1;
        let memory = BodyMemory { all: Arc::clone(&self.all), share: Arc::clone(&share.room) };
        Some(Visit { memory, address, by_address: Arc::clone(&self.by_address) })
    }

    /// How many addresses are here.
    #[cfg(test)]
    pub(crate) fn addresses(&self) -> usize {
        self.by_address.lock().unwrap().len()
    }
}

impl Visit {
    /// The memory for bodies of the address's requests.
    pub(crate) fn memory(&self) -> &BodyMemory {
        &self.memory
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = by_address.entry(self.address) {
            entry.get_mut().visits -= 1;
            if entry.get().visits == 0 {
                entry.remove();
            }
        }
    }
}

/// The memory for request bodies as one address sees it: what there is for all, and its share.
#[derive(Clone)]
pub(crate) struct BodyMemory {
    all: Arc<Semaphore>,
    share: Arc<Semaphore>,
}

/// Memory that is taken; given back when dropped.
pub(crate) struct Held {
    all: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

impl BodyMemory {
    /// Waits for so many bytes. Whoever waits for his share keeps nothing from the others.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Held> {
        let bytes = u32::try_from(bytes).ok()?;
        let share = Arc::clone(&self.share).acquire_many_owned(bytes).await.ok()?;
        let all = Arc::clone(&self.all).acquire_many_owned(bytes).await.ok()?;
        Some(Held { all, share })
    }
}

impl Held {
    /// Keeps more.
    pub(crate) fn merge(&mut self, more: Self) {
        self.all.merge(more.all);
        self.share.merge(more.share);
    }
}

/// Room for so many bytes.
fn room(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_share_that_is_taken_leaves_the_rest_to_others() {
        let all = room(100);
        let one = BodyMemory { all: Arc::clone(&all), share: room(60) };
        let other = BodyMemory { all, share: room(60) };
        let mut held = one.take(50).await.unwrap();
        held.merge(one.take(10).await.unwrap());
        let mut waiting = Box::pin(one.take(30));
        assert!((&mut waiting).now_or_never().is_none());
        let theirs = other.take(40).now_or_never().flatten().expect("there is room");
        assert!(other.take(1).now_or_never().is_none(), "all is taken");
        drop(held);
        assert!(waiting.now_or_never().flatten().is_some());
        drop(theirs);
        assert!(other.take(60).now_or_never().flatten().is_some());
    }
}
