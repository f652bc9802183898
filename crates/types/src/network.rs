//! Whose address it is, where something is shared out or counted by address.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that name a subscriber's network: whoever has one address of it has all.
const IPV6_PREFIX: u32 = 64;

/// The network of one subscriber: an IPv4 address, also where it is written as IPv6, or an IPv6 /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - IPV6_PREFIX)))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_half_of_ipv6_and_all_of_ipv4() {
        for (address, of) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ] {
            assert_eq!(network(address.parse().unwrap()), of.parse::<IpAddr>().unwrap(), "{address}");
        }
    }
}
