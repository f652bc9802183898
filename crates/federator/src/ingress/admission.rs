//! How many connections there may be.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::network;

use super::memory::{BodyMemory, room};
use crate::limits::IngressLimits;

/// Counts connections, over all and per address, and gives each address its share of memory.
pub(super) struct Admission {
    all: Arc<Semaphore>,
    body_memory: Arc<Semaphore>,
    connections_per_address: usize,
    body_memory_per_address: usize,
    by_address: Arc<Mutex<HashMap<IpAddr, Share>>>,
}

/// What an address has.
struct Share {
    connections: usize,
    body_memory: Arc<Semaphore>,
}

/// The right to a connection; given back when dropped.
pub(super) struct Admitted {
    _place: OwnedSemaphorePermit,
    body_memory: BodyMemory,
    address: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, Share>>>,
}

impl Admission {
    pub(super) fn new(limits: &IngressLimits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            body_memory: room(limits.body_memory),
            connections_per_address: limits.connections_per_address,
            body_memory_per_address: limits.body_memory_per_address,
            by_address: Arc::default(),
        }
    }

    /// Waits for room for one more connection.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Takes the place for a connection from `address`, unless that address has its share already.
    pub(super) fn admit(&self, place: OwnedSemaphorePermit, address: IpAddr) -> Option<Admitted> {
        let address = network(address);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let share = by_address
            .entry(address)
            .or_insert_with(|| Share { connections: 0, body_memory: room(self.body_memory_per_address) });
        if share.connections >= self.connections_per_address {
            return None;
        }
        share.connections += 1;
        let body_memory = BodyMemory::new(Arc::clone(&self.body_memory), Arc::clone(&share.body_memory));
        Some(Admitted { _place: place, body_memory, address, by_address: Arc::clone(&self.by_address) })
    }
}

impl Admitted {
    /// The memory for bodies of the connection's requests.
    pub(super) fn body_memory(&self) -> BodyMemory {
        self.body_memory.clone()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = by_address.entry(self.address) {
            entry.get_mut().connections -= 1;
            if entry.get().connections == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_are_taken_and_given_back() {
        let limits = IngressLimits { connections: 3, connections_per_address: 2, ..IngressLimits::default() };
        let admission = Admission::new(&limits);
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = admission.admit(admission.room().await.unwrap(), a).unwrap();
        let _second = admission.admit(admission.room().await.unwrap(), a).unwrap();
        assert!(admission.admit(admission.room().await.unwrap(), a).is_none());
        let _third = admission.admit(admission.room().await.unwrap(), b).unwrap();
        assert_eq!(admission.all.available_permits(), 0);
        drop(first);
        assert!(admission.admit(admission.room().await.unwrap(), a).is_some());
        assert_eq!(admission.by_address.lock().unwrap().len(), 2, "nothing is kept of those who left");
    }

    #[test]
    fn a_subscriber_has_one_share() {
        let one = |text: &str| network(text.parse().unwrap());
        assert_eq!(one("2001:db8::1"), one("2001:db8::2:3:4:5"));
        assert_ne!(one("2001:db8::1"), one("2001:db8:0:1::1"));
        assert_eq!(one("::ffff:192.0.2.1"), one("192.0.2.1"));
    }
}
