//! How many connections one address may have.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use types::network;

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Counts the connections of each address.
pub(super) struct Admission {
    share: usize,
    counts: Counts,
}

/// The right to a connection; given back when dropped.
pub(super) struct Admitted {
    address: IpAddr,
    counts: Counts,
}

impl Admission {
    /// Each address may have so many.
    pub(super) fn new(share: usize) -> Self {
        Self { share, counts: Arc::default() }
    }

    /// One more from `address`, unless it has its share already.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let address = network(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&address).copied().unwrap_or(0);
        if count >= self.share {
            return None;
        }
        counts.insert(address, count + 1);
        Some(Admitted { address, counts: Arc::clone(&self.counts) })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = counts.entry(self.address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn shares_are_taken_and_given_back() {
        let admission = Admission::new(2);
        let first = admission.admit(ip("192.0.2.1")).unwrap();
        let _second = admission.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert!(admission.admit(ip("192.0.2.1")).is_none());
        let other = admission.admit(ip("192.0.2.2")).unwrap();
        drop(first);
        assert!(admission.admit(ip("192.0.2.1")).is_some());
        drop(other);
        assert_eq!(admission.counts.lock().unwrap().len(), 1, "nothing is kept of those who left");
    }

    #[test]
    fn a_subscriber_has_one_share() {
        assert_eq!(network(ip("2001:db8::1")), network(ip("2001:db8::2:3:4:5")));
        assert_ne!(network(ip("2001:db8::1")), network(ip("2001:db8:0:1::1")));
    }
}
