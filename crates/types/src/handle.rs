//! The unique name of a user within a backend.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A handle: 2 to 256 characters of `[a-z0-9_.-]`. Upper case is an error, not folded (`brig.md` §2).
///
/// The reserved names are a rule of registration, not of syntax, and live in brig.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(String);

impl Handle {
    /// Fewest characters.
    pub const MIN_LEN: usize = 2;
    /// Most characters.
    pub const MAX_LEN: usize = 256;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// A character outside `[a-z0-9_.-]`.
    #[error("a handle consists of a-z, 0-9, '_', '.' and '-'")]
    Character,
    /// Shorter than [`Handle::MIN_LEN`] or longer than [`Handle::MAX_LEN`].
    #[error("a handle has 2 to 256 characters")]
    Length,
}

impl FromStr for Handle {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<Self, HandleError> {
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&text.len()) {
            return Err(HandleError::Length);
        }
        if !text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')) {
            return Err(HandleError::Character);
        }
        Ok(Self(text.to_owned()))
    }
}

impl AsRef<str> for Handle {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for good in ["bob", "b.o-b_9", "ab", &"a".repeat(256)] {
            assert!(good.parse::<Handle>().is_ok(), "{good}");
        }
        for bad in ["Bob", "b ob", "ca$h", "bób", "a@b"] {
            assert_eq!(bad.parse::<Handle>(), Err(HandleError::Character), "{bad}");
        }
        for bad in ["", "w", &"a".repeat(257)] {
            assert_eq!(bad.parse::<Handle>(), Err(HandleError::Length), "{bad}");
        }
    }
}
