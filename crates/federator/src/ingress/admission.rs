//! How many connections there may be.

use std::{net::IpAddr, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::network;

use crate::{
    limits::IngressLimits,
    memory::{BodyMemory, Shares, Visit},
};

/// Counts connections, over all and per address, and gives each address its share of memory.
pub(super) struct Admission {
    all: Arc<Semaphore>,
    shares: Shares<IpAddr>,
}

/// The right to a connection; given back when dropped.
pub(super) struct Admitted {
    _place: OwnedSemaphorePermit,
    visit: Visit<IpAddr>,
}

impl Admission {
    pub(super) fn new(limits: &IngressLimits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            shares: Shares::new(limits.body_memory, limits.connections_per_address),
        }
    }

    /// Waits for room for one more connection.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Room for one more connection, if there is some now.
    pub(super) fn room_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).try_acquire_owned().ok()
    }

    /// Takes the place for a connection from `address`, unless that address has its share already. Of IPv6 one
    /// /64 is one address.
    pub(super) fn admit(&self, place: OwnedSemaphorePermit, address: IpAddr) -> Option<Admitted> {
        let visit = self.shares.enter(network(address))?;
        Some(Admitted { _place: place, visit })
    }
}

impl Admitted {
    /// The memory for bodies of the connection's requests.
    pub(super) fn body_memory(&self) -> BodyMemory {
        self.visit.memory().clone()
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
        assert_eq!(admission.shares.names(), 2, "nothing is kept of those who left");
    }
}
