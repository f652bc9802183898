//! How many requests are let through: per address and endpoint, and per user.
//!
//! The generic cell rate algorithm: of each key only the time is kept at which its bucket will be empty again.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use types::{UserId, network};

use crate::limits;

/// How fast a bucket fills and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// One request in this time.
    pub every: Duration,
    /// So many at once.
    pub burst: u32,
}

/// The rates of the two classes (`brig.md` §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Per address and endpoint, for what comes without a token that counts.
    pub address: Rate,
    /// Per user, for what needs one.
    pub user: Rate,
}

impl Default for Rates {
    /// Those of wire-server.
    fn default() -> Self {
        Self {
            address: Rate { every: limits::ADDRESS_EVERY, burst: limits::ADDRESS_BURST },
            user: Rate { every: limits::USER_EVERY, burst: limits::USER_BURST },
        }
    }
}

/// Whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// A client without a token that counts, at the endpoint of that id; `None` if the listener does not know where it
    /// is, which all those share.
    Address(Option<IpAddr>, &'static str),
    /// A user.
    User(UserId),
}

impl Key {
    /// The key of an address: of an IPv6 address the network counts. Each endpoint has its own, so that who asks much of
    /// one can still log in.
    pub(crate) fn address(address: Option<IpAddr>, endpoint: &'static str) -> Self {
        Self::Address(address.map(network), endpoint)
    }
}

/// Counts requests.
pub(crate) struct Limiter {
    rates: Rates,
    empty_at: Mutex<HashMap<Key, Instant>>,
}

impl Limiter {
    pub(crate) fn new(rates: Rates) -> Self {
        Self { rates, empty_at: Mutex::default() }
    }

    /// Whether one more request may pass.
    pub(crate) fn admit(&self, key: Key, now: Instant) -> bool {
        let rate = match key {
            Key::Address(..) => self.rates.address,
            Key::User(_) => self.rates.user,
        };
        let mut empty_at = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = empty_at.get(&key).copied().unwrap_or(now).max(now);
        if empty.duration_since(now) > rate.every * rate.burst {
            return false;
        }
        if empty_at.len() >= limits::COUNTED && !empty_at.contains_key(&key) {
            forget(&mut empty_at, now);
        }
        empty_at.insert(key, empty + rate.every);
        true
    }
}

/// Makes room: those whose buckets are empty by now are forgotten, which changes nothing, and if that is not enough
/// some others, who then have a full burst again.
fn forget<K: Copy + Eq + Hash>(empty_at: &mut HashMap<K, Instant>, now: Instant) {
    empty_at.retain(|_, at| *at > now);
    if empty_at.len() >= limits::COUNTED {
        let some: Vec<K> = empty_at.keys().take(limits::FORGOTTEN).copied().collect();
        for key in some {
            empty_at.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Key {
        Key::address(Some(text.parse().unwrap()), "login")
    }

    /// How many requests pass if they come without a pause.
    fn burst(limiter: &Limiter, key: Key, now: Instant) -> usize {
        (0..1_000).take_while(|_| limiter.admit(key, now)).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limiter = Limiter::new(Rates::default());
        let (a, b, start) = (address("192.0.2.1"), address("192.0.2.2"), Instant::now());
        assert_eq!(burst(&limiter, a, start), 11);
        assert_eq!(burst(&limiter, b, start), 11, "others are not affected");
        let elsewhere = Key::address(Some("192.0.2.1".parse().unwrap()), "access");
        assert_eq!(burst(&limiter, elsewhere, start), 11, "nor are other endpoints");
        assert_eq!(burst(&limiter, a, start + Duration::from_secs(3)), 0);
        assert_eq!(burst(&limiter, a, start + Duration::from_secs(4)), 1);
        assert_eq!(burst(&limiter, a, start + Duration::from_secs(600)), 11);
        let user = Key::User("ac41a202-2555-11ec-9341-00163e5e6c00".parse().unwrap());
        assert_eq!(burst(&limiter, user, start), 21);
        let second: usize = (1..=60).map(|half| burst(&limiter, user, start + Duration::from_millis(500 * half))).sum();
        assert!((895..=905).contains(&second), "{second} in 30 s");
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        assert_eq!(address("2001:db8::1"), address("2001:db8:0:0:ffff::2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    #[test]
    fn the_table_is_bounded() {
        let limiter = Limiter::new(Rates::default());
        let now = Instant::now();
        for n in 0..(limits::COUNTED as u32 + 5_000) {
            assert!(limiter.admit(Key::address(Some(IpAddr::V4(n.into())), "login"), now));
        }
        assert!(limiter.empty_at.lock().unwrap().len() <= limits::COUNTED);
        let later = now + Duration::from_secs(60);
        limiter.admit(address("192.0.2.1"), later);
        for n in 0..5_000_u32 {
            limiter.admit(Key::address(Some(IpAddr::V4((0x0a00_0000 + n).into())), "login"), later);
        }
        assert!(limiter.empty_at.lock().unwrap().len() <= limits::COUNTED);
    }
}
