//! The numbers the store hands out: versions, commit ids, entry ids.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use types::{Rng, Timestamp};
use uuid::Uuid;

/// The version of an aggregate or of a row: microseconds of hybrid time.
///
/// Strictly increasing within an aggregate and never repeated, also when a row is deleted and made again, so that
/// "the version is still v" means "nothing happened".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version of what was never written.
    pub const NEVER: Self = Self(0);

    /// From microseconds of hybrid time.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds of hybrid time; 0 for [`Version::NEVER`].
    pub const fn micros(self) -> u64 {
        self.0
    }
}

/// The identity of a commit: random, or made by the caller from its idempotency key. Among the last eight commits of
/// an aggregate a repeated id is done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(pub Uuid);

impl CommitId {
    /// A new random id.
    pub fn random(rng: &dyn Rng) -> Self {
        Self(rng.uuid())
    }

    /// The key that the `n`th append of this commit gets when the caller names none.
    pub(crate) fn entry_key(self, n: usize) -> Vec<u8> {
        let mut key = self.0.as_bytes().to_vec();
        key.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes());
        key
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// 100 ns intervals between 1582-10-15, where UUID version 1 begins to count, and 1970-01-01 (RFC 9562 §5.1).
const TICKS_TO_1970: u64 = 0x01B2_1DD2_1381_4000;

/// Only 60 bits of time fit a UUID.
const MAX_TICK: u64 = (1 << 60) - 1;

/// The id of an entry in a log: a UUID version 1 to the outside (RFC 9562 §5.1).
///
/// Ordered by time and then by node, both unsigned; this is neither the order of the UUID's text nor that of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    tick: u64,
    node: u64,
}

impl EntryId {
    /// An id of that time and node; surplus bits are cut so that the UUID is one of version 1 and variant 10.
    pub const fn new(tick: u64, node: u64) -> Self {
        Self { tick: tick & MAX_TICK, node: (node & (u64::MAX >> 2)) | (1 << 63) }
    }

    /// Time in units of 100 ns since 1582-10-15.
    pub const fn tick(self) -> u64 {
        self.tick
    }

    /// Variant, clock sequence and node: the last eight bytes of the UUID.
    pub const fn node(self) -> u64 {
        self.node
    }

    /// The form shown outside.
    pub fn uuid(self) -> Uuid {
        let low = self.tick & 0xffff_ffff;
        let mid = (self.tick >> 32) & 0xffff;
        let high = (self.tick >> 48) & 0x0fff;
        Uuid::from_u64_pair((low << 32) | (mid << 16) | 0x1000 | high, self.node)
    }

    /// The id with that outside form; `None` unless it is a UUID of version 1 and variant 10.
    pub fn from_uuid(uuid: Uuid) -> Option<Self> {
        let (time, node) = uuid.as_u64_pair();
        if (time >> 12) & 0xf != 1 || node >> 62 != 0b10 {
            return None;
        }
        let tick = ((time & 0x0fff) << 48) | (((time >> 16) & 0xffff) << 32) | (time >> 32);
        Some(Self { tick, node })
    }

    /// The hybrid time of the id, rounded down to microseconds.
    pub fn time(self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.tick.saturating_sub(TICKS_TO_1970) / 10).unwrap_or(i64::MAX))
    }
}

/// The tick at that moment.
pub(crate) fn tick_of(moment: Timestamp) -> u64 {
    u64::try_from(moment.micros()).unwrap_or(0).saturating_mul(10).saturating_add(TICKS_TO_1970).min(MAX_TICK)
}

/// The tick at which that version was given.
pub(crate) fn tick_of_version(version: Version) -> u64 {
    version.0.saturating_mul(10).saturating_add(TICKS_TO_1970).min(MAX_TICK)
}

/// The version of a tick that is a whole number of microseconds.
pub(crate) fn version_of_tick(tick: u64) -> Version {
    Version(tick.saturating_sub(TICKS_TO_1970) / 10)
}

/// The text is no UUID of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry id is a UUID of version 1")]
pub struct EntryIdError;

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        Uuid::try_parse(text).ok().and_then(Self::from_uuid).ok_or(EntryIdError)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid().as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_known_uuid_of_version_1() {
        // RFC 9562 appendix A.1: 2022-02-22T19:22:22Z.
        let id: EntryId = "C232AB00-9414-11EC-B3C8-9F6BDECED846".parse().unwrap();
        assert_eq!(id.tick(), 0x1EC_9414_C232_AB00);
        assert_eq!(id.time().to_string(), "2022-02-22T19:22:22.000Z");
        assert_eq!(id.to_string(), "c232ab00-9414-11ec-b3c8-9f6bdeced846");
        assert_eq!("f81d4fae-7dec-41d0-a765-00a0c91e6bf6".parse::<EntryId>(), Err(EntryIdError), "version 4");
    }

    proptest! {
        #[test]
        fn uuid_round_trip(tick: u64, node: u64) {
            let id = EntryId::new(tick, node);
            prop_assert_eq!(id.uuid().get_version_num(), 1);
            prop_assert_eq!(EntryId::from_uuid(id.uuid()), Some(id));
        }

        #[test]
        fn texts_never_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<EntryId>();
        }
    }
}
