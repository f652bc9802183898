//! The forms that JSON of the federation API has in common (`federation.md` §6.2), beyond what serde does by itself.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, SeqAccess, Visitor},
};

/// The unit value: `[]`. The request of RPCs that ask nothing, and the success of [`Either`] answers without content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit;

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::empty::<()>())
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Empty;

        impl<'de> Visitor<'de> for Empty {
            type Value = Unit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an empty array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unit, A::Error> {
                match items.next_element::<de::IgnoredAny>()? {
                    None => Ok(Unit),
                    Some(_) => Err(de::Error::invalid_length(1, &self)),
                }
            }
        }

        deserializer.deserialize_seq(Empty)
    }
}

/// The answer of RPCs that only acknowledge: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptyResponse {}

/// One of two: `{"Left": …}`, conventionally the failure, or `{"Right": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Either<L, R> {
    /// The failure.
    Left(L),
    /// The success.
    Right(R),
}

impl<L, R> From<Result<R, L>> for Either<L, R> {
    fn from(result: Result<R, L>) -> Self {
        match result {
            Ok(right) => Self::Right(right),
            Err(left) => Self::Left(left),
        }
    }
}

impl<L, R> From<Either<L, R>> for Result<R, L> {
    fn from(either: Either<L, R>) -> Self {
        match either {
            Either::Left(left) => Err(left),
            Either::Right(right) => Ok(right),
        }
    }
}

/// Bytes that this API passes on without looking inside (MLS, protobuf): standard base64 with padding.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Base64ByteString(pub Vec<u8>);

impl fmt::Debug for Base64ByteString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Vec<u8>> for Base64ByteString {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Base64ByteString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(de::Error::custom)
    }
}

/// Reads `null` like an absent field: as the default.
pub(crate) fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The default of flags that are on unless said otherwise.
pub(crate) fn yes() -> bool {
    true
}

/// Reads `null` like an absent flag that is on unless said otherwise.
pub(crate) fn null_is_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(true))
}

/// Reads anything that is no `T` as the default: for decoration that must never make a whole document unreadable.
pub(crate) fn junk_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned + Default,
    D: Deserializer<'de>,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Declares a text whose length in characters lies in a range; the check happens when it is read.
macro_rules! ranged_text {
    ($(#[$doc:meta])* $name:ident $min:literal..=$max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String")]
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

        impl TryFrom<String> for $name {
            type Error = $crate::encoding::LengthError;

            fn try_from(text: String) -> Result<Self, $crate::encoding::LengthError> {
                $crate::encoding::LengthError::check(text.chars().count(), $min, $max)?;
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::encoding::LengthError;

            fn from_str(text: &str) -> Result<Self, $crate::encoding::LengthError> {
                text.to_owned().try_into()
            }
        }
    };
}
pub(crate) use ranged_text;

/// A text or list is shorter or longer than its type allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a length between {min} and {max} is needed, not {length}")]
pub struct LengthError {
    /// What it has.
    pub length: usize,
    /// The least allowed.
    pub min: usize,
    /// The most allowed.
    pub max: usize,
}

impl LengthError {
    pub(crate) fn check(length: usize, min: usize, max: usize) -> Result<(), Self> {
        if (min..=max).contains(&length) { Ok(()) } else { Err(Self { length, min, max }) }
    }
}

/// Gives a type that derives its JSON with `#[serde(remote = "Self")]` additional fields on writing, which old readers
/// expect though they tell nothing new. Reading ignores them.
macro_rules! also_writes {
    ($name:ident { $($field:ident: $type:ty = |$this:ident| $value:expr),+ $(,)? }) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                struct Rest<'a>(&'a $name);

                impl serde::Serialize for Rest<'_> {
                    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                        $name::serialize(self.0, serializer)
                    }
                }

                #[derive(serde::Serialize)]
                struct Whole<'a> {
                    $($field: $type,)+
                    #[serde(flatten)]
                    rest: Rest<'a>,
                }

                let whole = Whole {
                    $($field: {
                        let $this = self;
                        $value
                    },)+
                    rest: Rest(self),
                };
                serde::Serialize::serialize(&whole, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $name::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use also_writes;

/// Wall-clock time with all the precision there is: a fraction of none, three or six digits. For fields that are not
/// restricted to milliseconds as [`types::Timestamp`]'s own form is.
pub(crate) mod utc_time {
    use serde::{Deserialize, Deserializer, Serializer};
    use types::Timestamp;

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = time.micros().rem_euclid(1_000_000);
        // The type's own form has exactly three digits; what it cuts off or has too much is mended here.
        let millis = time.to_string();
        match (millis.strip_suffix(".000Z"), millis.strip_suffix('Z')) {
            (Some(whole), _) if micros == 0 => serializer.collect_str(&format_args!("{whole}Z")),
            (_, Some(millis)) if micros % 1_000 != 0 => {
                serializer.collect_str(&format_args!("{millis}{:03}Z", micros % 1_000))
            }
            _ => serializer.serialize_str(&millis),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }

    /// The same where the time may be missing.
    pub(crate) mod option {
        use super::{Deserialize, Deserializer, Serializer, Timestamp};

        pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
            Option::deserialize(deserializer)
        }
    }
}
