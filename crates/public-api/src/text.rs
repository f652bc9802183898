//! Small values that are texts of a certain kind.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

/// A text is shorter or longer than its kind allows, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outside range [{min}, {max}]")]
pub struct RangeError {
    /// The least allowed.
    pub min: usize,
    /// The most allowed.
    pub max: usize,
}

impl RangeError {
    /// Whether that text has a length in that range.
    ///
    /// # Errors
    /// It has not.
    pub fn check(text: &str, min: usize, max: usize) -> Result<(), Self> {
        // Counting stops early: a text can be far longer than allowed.
        let length = text.chars().take(max.saturating_add(1)).count();
        if (min..=max).contains(&length) { Ok(()) } else { Err(Self { min, max }) }
    }
}

/// A password as it was typed, of at least `MIN` and at most 1024 characters. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainTextPassword<const MIN: usize>(String);

/// A password of an account to be made (`brig.md` §2).
pub type PlainTextPassword8 = PlainTextPassword<8>;

/// A password that may have been chosen when shorter ones were allowed.
pub type PlainTextPassword6 = PlainTextPassword<6>;

impl<const MIN: usize> PlainTextPassword<MIN> {
    /// Most characters.
    pub const MAX_LEN: usize = 1024;

    /// What was typed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize> FromStr for PlainTextPassword<MIN> {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        RangeError::check(text, MIN, Self::MAX_LEN)?;
        Ok(Self(text.to_owned()))
    }
}

impl<const MIN: usize> Drop for PlainTextPassword<MIN> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const MIN: usize> fmt::Debug for PlainTextPassword<MIN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(password)")
    }
}

impl<const MIN: usize> Serialize for PlainTextPassword<MIN> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MIN: usize> Deserialize<'de> for PlainTextPassword<MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// A text that must not be shown: a token, a code. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads a text and parses it.
pub(crate) fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Declares texts whose length in characters lies in a range.
macro_rules! ranged_texts {
    ($($(#[$doc:meta])* $name:ident $min:literal ..= $max:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Fewest characters.
            pub const MIN_LEN: usize = $min;
            /// Most characters.
            pub const MAX_LEN: usize = $max;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = RangeError;

            fn from_str(text: &str) -> Result<Self, RangeError> {
                RangeError::check(text, $min, $max)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parsed(deserializer)
            }
        }

        impl crate::Schema for $name {
            fn schema(_: &mut crate::Schemas) -> serde_json::Value {
                serde_json::json!({"type": "string", "minLength": $min, "maxLength": $max})
            }
        }
    )*};
}

ranged_texts! {
    /// The label of a cookie, chosen by the client. (wire-server takes a label of any length.)
    CookieLabel 0..=256;
    /// The name of a team.
    TeamName 1..=256;
    /// A code that was sent by mail as second factor (`brig.md` §6.5).
    VerificationCode 6..=20;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters() {
        let eight = "pässwörd";
        assert!(eight.parse::<PlainTextPassword8>().is_ok());
        assert_eq!("pässwör".parse::<PlainTextPassword8>().unwrap_err().to_string(), "outside range [8, 1024]");
        assert!("pässwör".parse::<PlainTextPassword6>().is_ok());
        assert!("p".repeat(1024).parse::<PlainTextPassword8>().is_ok());
        assert!("p".repeat(1025).parse::<PlainTextPassword8>().is_err());
    }

    #[test]
    fn labels_are_bounded() {
        let label = |length: usize| serde_json::from_value::<CookieLabel>("x".repeat(length).into());
        assert_eq!(label(256).unwrap().as_str().len(), 256);
        assert!(label(0).is_ok() && label(257).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let password: PlainTextPassword8 = "correct horse".parse().unwrap();
        let shown = format!("{password:?} {:?}", Secret::from("battery staple".to_owned()));
        assert!(!shown.contains("horse") && !shown.contains("staple"), "{shown}");
    }
}
