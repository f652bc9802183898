//! When two e-mail addresses are the same mailbox (`brig.md` §2).

use public_api::email::EmailAddress;
use sha2::{Digest as _, Sha256};

/// The uniqueness key of an address: lower-case, without `+suffix`. Two addresses with one key are one mailbox, and
/// one account at most has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailKey(String);

impl EmailKey {
    /// The key of an address.
    pub fn of(address: &EmailAddress) -> Self {
        let (local, domain) = (address.local().to_lowercase(), address.domain().to_ascii_lowercase());
        let kept = if KEEP_SUFFIX.contains(&domain.as_str()) { &local } else { before_plus(&local) };
        Self(format!("{kept}@{domain}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the text: what public identifiers of codes are made of.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// At these domains `+suffix` makes another address: whoever tests Wire there needs many.
const KEEP_SUFFIX: [&str; 3] = ["wearezeta.com", "wire.com", "simulator.amazonses.com"];

/// What stands before the first `+`; all of it where that would be nothing.
fn before_plus(local: &str) -> &str {
    match local.split_once('+') {
        Some((before, _)) if !before.is_empty() => before,
        _ => local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (address, key) in [
            ("a@example.com", "a@example.com"),
            ("Alice.B@Example.COM", "alice.b@example.com"),
            ("JÜRGEN@example.com", "jürgen@example.com"),
            ("a+x@example.com", "a@example.com"),
            ("a+x+y@example.com", "a@example.com"),
            ("+x@example.com", "+x@example.com"),
            ("a+x@wire.com", "a+x@wire.com"),
            ("A+X@Wearezeta.com", "a+x@wearezeta.com"),
            ("success+1@simulator.amazonses.com", "success+1@simulator.amazonses.com"),
        ] {
            assert_eq!(EmailKey::of(&address.parse().unwrap()).as_str(), key, "{address}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_key_of_a_key_is_the_key(text in "[a-zA-Z+.ÄßİK]{1,10}@[a-zA-Z]{1,9}\\.[a-z]{1,3}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                let key = EmailKey::of(&address);
                if let Ok(again) = key.as_str().parse() {
                    proptest::prop_assert_eq!(EmailKey::of(&again), key);
                }
            }
        }
    }
}
