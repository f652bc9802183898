//! Blocks of addresses, as operators list those who are trusted.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::written;

/// The addresses that begin with the same bits, such as `10.0.0.0/8` or `2001:db8::/32`; an address alone is a block of
/// one. An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressBlock {
    first: IpAddr,
    bits: u8,
}

/// Why a text is no block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressBlockError {
    /// What stands before the slash is no IP address.
    #[error("is neither an IP address nor a block of them, such as `10.0.0.0/8`")]
    Address,
    /// What stands behind the slash is no number of bits, or more than an address has.
    #[error("has no number of bits behind the slash, or more than an address has")]
    Bits,
    /// The address has bits beyond those that count.
    #[error("has bits set beyond the {0} that count; is that the block that was meant?")]
    Host(u8),
}

impl AddressBlock {
    /// Those of the own machine.
    pub const LOOPBACK: [Self; 2] = [
        Self { first: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), bits: 8 },
        Self { first: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 },
    ];

    /// Those that nobody reaches from the Internet (RFC 1918, RFC 4193) beside the own machine's.
    pub const PRIVATE: [Self; 4] = [
        Self { first: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), bits: 8 },
        Self { first: IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), bits: 12 },
        Self { first: IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), bits: 16 },
        Self { first: IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), bits: 7 },
    ];

    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for AddressBlock {
    type Err = AddressBlockError;

    fn from_str(text: &str) -> Result<Self, AddressBlockError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| AddressBlockError::Address)?;
        let first = written.to_canonical();
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(AddressBlockError::Bits);
            }
            Some(digits) => {
                let bits: u8 = digits.parse().map_err(|_| AddressBlockError::Bits)?;
                // `::ffff:10.0.0.0/104` counts the bits of IPv6.
                let mapped = if written != first { bits.checked_sub(96) } else { Some(bits) };
                mapped.filter(|bits| *bits <= all).ok_or(AddressBlockError::Bits)?
            }
        };
        let block = Self { first, bits };
        if block.trailing() { Err(AddressBlockError::Host(bits)) } else { Ok(block) }
    }
}

impl AddressBlock {
    /// Whether bits are set beyond those that count.
    fn trailing(&self) -> bool {
        let (value, width) = match self.first {
            IpAddr::V4(first) => (u128::from(first.to_bits()), 32),
            IpAddr::V6(first) => (first.to_bits(), 128),
        };
        let beyond = width - u32::from(self.bits);
        beyond > 0 && value.trailing_zeros() < beyond && value != 0
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.first.is_ipv4() { 32 } else { 128 };
        if self.bits == all { write!(f, "{}", self.first) } else { write!(f, "{}/{}", self.first, self.bits) }
    }
}

impl Serialize for AddressBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        written::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for AddressBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_in_a_block_and_what_is_not() {
        for (block, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
            ("172.16.0.0/12", "172.31.255.255", true),
            ("172.16.0.0/12", "172.32.0.0", false),
        ] {
            let parsed: AddressBlock = block.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{address} in {block}");
        }
    }

    #[test]
    fn what_is_no_block() {
        for (text, expected) in [
            ("", AddressBlockError::Address),
            ("localhost", AddressBlockError::Address),
            ("10.0.0/8", AddressBlockError::Address),
            ("10.0.0.0/", AddressBlockError::Bits),
            ("10.0.0.0/33", AddressBlockError::Bits),
            ("10.0.0.0/+8", AddressBlockError::Bits),
            ("10.0.0.0/-1", AddressBlockError::Bits),
            ("10.0.0.0/999", AddressBlockError::Bits),
            ("::ffff:10.0.0.0/8", AddressBlockError::Bits),
            ("::/129", AddressBlockError::Bits),
            ("10.0.0.1/8", AddressBlockError::Host(8)),
            ("1.0.0.0/0", AddressBlockError::Host(0)),
            ("2001:db8::1/64", AddressBlockError::Host(64)),
        ] {
            assert_eq!(text.parse::<AddressBlock>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn the_named_ones_are_as_they_are_written() {
        let texts = ["127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
        let named = AddressBlock::LOOPBACK.into_iter().chain(AddressBlock::PRIVATE);
        for (block, text) in named.zip(texts) {
            assert_eq!((block.to_string().as_str(), text.parse()), (text, Ok(block)));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_what_is_written_is_read(text in "\\PC{0,40}") {
            if let Ok(block) = text.parse::<AddressBlock>() {
                prop_assert_eq!(block.to_string().parse(), Ok(block));
            }
        }

        #[test]
        fn the_bits_decide(first: u32, address: u32, bits in 0u8..=32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            let text = format!("{}/{bits}", Ipv4Addr::from_bits(first & mask));
            let block: AddressBlock = text.parse().unwrap();
            let inside = first & mask == address & mask;
            prop_assert_eq!(block.contains(IpAddr::V4(Ipv4Addr::from_bits(address))), inside);
        }
    }
}
