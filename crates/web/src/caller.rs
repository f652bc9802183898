//! Who a request is from, as far as the sharing of memory goes.

use std::net::IpAddr;

use http::HeaderMap;
use public_api::access;
use types::{UserId, network};

/// Somebody who has one share of what there is for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// A subscriber's network: an IPv4 address, or an IPv6 /64.
    Network(IpAddr),
    /// All those about whom nothing is known.
    Unknown,
    /// A user, wherever they call from.
    User(UserId),
}

impl Caller {
    /// The user whom the gate established, else the address that it asserted. To be asked behind the gate alone:
    /// before it, anybody may have written these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let user = headers.get(access::Z_USER).and_then(|value| value.to_str().ok()?.parse().ok());
        match (user, access::client_ip(headers)) {
            (Some(user), _) => Self::User(user),
            (None, Some(address)) => Self::Network(network(address)),
            (None, None) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "ac41a202-2555-11ec-9341-00163e5e6c00";

    fn caller(headers: &[(&'static str, &str)]) -> Caller {
        Caller::of(&headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
    }

    #[test]
    fn a_user_goes_before_an_address() {
        let user = Caller::User(USER.parse().unwrap());
        assert_eq!(caller(&[("z-user", USER), ("x-forwarded-for", "192.0.2.1")]), user);
        assert_eq!(caller(&[("z-user", USER), ("x-forwarded-for", "192.0.2.2")]), user);
        let address = Caller::Network("192.0.2.1".parse().unwrap());
        assert_eq!(caller(&[("z-user", "x"), ("x-forwarded-for", "192.0.2.1")]), address);
        assert_eq!(caller(&[]), Caller::Unknown);
    }

    #[test]
    fn a_subscriber_has_one_share() {
        let one = |address| caller(&[("x-forwarded-for", address)]);
        assert_eq!(one("2001:db8::1"), one("2001:db8::2:3:4:5"));
        assert_ne!(one("2001:db8::1"), one("2001:db8:0:1::1"));
        assert_eq!(one("::ffff:192.0.2.1"), one("192.0.2.1"));
        assert_ne!(one("192.0.2.1"), one("192.0.2.2"));
    }
}
