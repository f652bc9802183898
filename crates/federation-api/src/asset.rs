//! Assets: encrypted files that stay at the uploader's backend.

use std::fmt;

use serde::{Deserialize, Serialize};
use types::{AssetKey, UserId};

/// Which asset is wanted, by whom. The request of both of cargohold's RPCs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetAsset {
    /// Who wants it; a user of the origin.
    pub user: UserId,
    /// The asset, of the receiver.
    pub key: AssetKey,
    /// What opens it, if it is not public.
    pub token: Option<AssetToken>,
}

/// Whether the asset can be had; a wrong token and an unknown key look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetAssetResponse {
    /// It can.
    pub available: bool,
}

/// A secret that opens one asset: characters of URL-safe base64, padding included.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AssetToken(String);

impl AssetToken {
    /// The text. Compare it in constant time.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text has a character that is not of URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an asset token consists of characters of URL-safe base64")]
pub struct AssetTokenError;

impl TryFrom<String> for AssetToken {
    type Error = AssetTokenError;

    fn try_from(text: String) -> Result<Self, AssetTokenError> {
        if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=')) {
            Ok(Self(text))
        } else {
            Err(AssetTokenError)
        }
    }
}

impl fmt::Debug for AssetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(asset token)")
    }
}

/// The answer of `stream-asset`: a raw byte stream, of which there is no JSON. No value of this type exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssetSource {}

impl Serialize for AssetSource {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match *self {}
    }
}

impl<'de> Deserialize<'de> for AssetSource {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("an asset's content is a byte stream, not JSON"))
    }
}
