//! Versions of the client API (`brig.md` §1, "Version prefix").

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A version of the client API; a request without a prefix is one of version 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u16);

/// The stable versions: every one from 0 to 15.
pub const SUPPORTED: std::ops::RangeInclusive<u16> = 0..=15;

/// The version in development, offered only where it is not disabled.
pub const DEVELOPMENT: Version = Version(16);

impl Version {
    /// All versions that exist, the one in development included.
    pub fn all() -> impl Iterator<Item = Self> {
        SUPPORTED.map(Self).chain([DEVELOPMENT])
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The text is not `v` with a number of a version that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such version")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    /// Reads `v7`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let digits = text.strip_prefix('v').ok_or(VersionError)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(VersionError);
        }
        let number: u16 = digits.parse().map_err(|_| VersionError)?;
        Self::all().find(|v| v.0 == number).ok_or(VersionError)
    }
}

/// A half-open range of versions: `from ≤ v < until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// First version.
    pub from: Version,
    /// First version that is out of the range; `None` if it goes on.
    pub until: Option<Version>,
}

impl Versions {
    /// Every version.
    pub const ALL: Self = Self::from(0);

    /// From that version on.
    pub const fn from(version: u16) -> Self {
        Self { from: Version(version), until: None }
    }

    /// From the first one on, before the second one.
    pub const fn between(from: u16, until: u16) -> Self {
        Self { from: Version(from), until: Some(Version(until)) }
    }

    /// Whether the version lies in the range.
    pub fn contains(self, version: Version) -> bool {
        version >= self.from && self.until.is_none_or(|until| version < until)
    }

    /// Whether some version lies in both ranges.
    pub fn overlaps(self, other: Self) -> bool {
        let before = |until: Option<Version>, from: Version| until.is_none_or(|until| from < until);
        before(self.until, other.from) && before(other.until, self.from)
    }
}

impl fmt::Display for Versions {
    /// `v4`…: `from v4`, `v0 to v3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from.0, self.until) {
            (0, None) => f.write_str("all"),
            (_, None) => write!(f, "from {}", self.from),
            (from, Some(until)) if until.0 == from + 1 => write!(f, "{}", self.from),
            (_, Some(until)) => write!(f, "{} to v{}", self.from, until.0.saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_v_and_a_number_that_exists() {
        assert_eq!("v0".parse(), Ok(Version(0)));
        assert_eq!("v16".parse(), Ok(DEVELOPMENT));
        for bad in ["", "v", "v17", "v99", "5", "v-1", "v+1", "V5", "v5x", "v99999999999999999999"] {
            assert_eq!(bad.parse::<Version>(), Err(VersionError), "{bad}");
        }
    }

    #[test]
    fn ranges() {
        let old = Versions::between(0, 4);
        assert!(old.contains(Version(3)) && !old.contains(Version(4)));
        assert!(!old.overlaps(Versions::from(4)));
        assert!(old.overlaps(Versions::from(3)));
        assert_eq!([old, Versions::from(4), Versions::ALL].map(|v| v.to_string()), ["v0 to v3", "from v4", "all"]);
    }
}
