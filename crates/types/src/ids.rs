//! Ids: UUID newtypes, the qualified form, and the number of a client (device).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{Domain, Rng};

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl $name {
            /// A new random id (UUID version 4).
            pub fn random(rng: &dyn Rng) -> Self {
                Self(rng.uuid())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                // Only the hyphenated form is Wire's; `Uuid::parse_str` alone would take three more.
                if text.len() != 36 {
                    return Err(Uuid::parse_str("").expect_err("an empty text is no UUID"));
                }
                Uuid::parse_str(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

uuid_id! {
    /// A user.
    UserId
    /// A team.
    TeamId
    /// A conversation.
    ConversationId
    /// A provider of services (bots).
    ProviderId
    /// A service (bot kind) of a provider.
    ServiceId
    /// A bot in a conversation.
    BotId
}

/// An id with the domain of the backend that owns it: `{"domain": …, "id": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Qualified<T> {
    /// The owner.
    pub domain: Domain,
    /// The id, unique within the owner.
    pub id: T,
}

impl<T> Qualified<T> {
    /// An id of that domain.
    pub fn new(id: T, domain: Domain) -> Self {
        Self { domain, id }
    }
}

impl<T: fmt::Display> fmt::Display for Qualified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.domain)
    }
}

/// A client (device) of a user: an unsigned 64-bit number, written as lower-case hexadecimal without leading zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// The text is no client id: empty, longer than 16 digits, or not hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id is 1 to 16 hexadecimal digits")]
pub struct ClientIdError;

impl FromStr for ClientId {
    type Err = ClientIdError;

    fn from_str(text: &str) -> Result<Self, ClientIdError> {
        if text.is_empty() || text.len() > 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ClientIdError);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| ClientIdError)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The key of an asset, `3-{retention}-{uuid}`. Kept as text here: cargohold parses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssetKey(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_are_hex_without_leading_zeros() {
        assert_eq!("00ff".parse::<ClientId>().unwrap().to_string(), "ff");
        assert_eq!("0".parse::<ClientId>().unwrap().to_string(), "0");
        assert_eq!("FFFFFFFFFFFFFFFF".parse::<ClientId>().unwrap(), ClientId(u64::MAX));
        for bad in ["", "+1", "-1", "g", "10000000000000000", " 1"] {
            assert_eq!(bad.parse::<ClientId>(), Err(ClientIdError), "{bad}");
        }
    }

    #[test]
    fn user_ids_take_the_hyphenated_form_only() {
        let text = "ac41a202-2555-11ec-9341-00163e5e6c00";
        assert_eq!(text.parse::<UserId>().unwrap().to_string(), text);
        for bad in ["ac41a202255511ec934100163e5e6c00", "{ac41a202-2555-11ec-9341-00163e5e6c00}", "", "x"] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
            assert!(serde_json::from_value::<UserId>(bad.into()).is_err(), "{bad}");
        }
    }
}
