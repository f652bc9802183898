//! How many connections one address may have.

use std::net::IpAddr;

use listening::{Turn, Turns};
use types::network;

/// Counts the connections of each address.
pub(super) struct Admission(Turns<IpAddr>);

/// The right to a connection; given back when dropped.
pub(super) type Admitted = Turn<IpAddr>;

impl Admission {
    /// Each address may have so many.
    pub(super) fn new(share: usize) -> Self {
        Self(Turns::new(usize::MAX, share))
    }

    /// One more from `address`, unless it has its share already. Of IPv6 one /64 is one address.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Admitted> {
        self.0.take(network(address))
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
        assert_eq!(admission.0.names(), 1, "nothing is kept of those who left");
    }

    #[test]
    fn a_subscriber_has_one_share() {
        assert_eq!(network(ip("2001:db8::1")), network(ip("2001:db8::2:3:4:5")));
        assert_ne!(network(ip("2001:db8::1")), network(ip("2001:db8:0:1::1")));
    }
}
