//! Cipher suites, signature schemes and the keys of a backend.

use serde::{Deserialize, Serialize};

use crate::Base64ByteString;

/// The number of a cipher suite (RFC 9420 §17.1), known here or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CipherSuite(pub u16);

impl CipherSuite {
    /// What is meant where old versions name none.
    pub const LEGACY: Self = Self(1);
}

/// A cipher suite that a conversation can use. Upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "CipherSuite", into = "CipherSuite")]
#[allow(non_camel_case_types)]
pub enum CipherSuiteTag {
    /// 1
    #[default]
    MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    /// 2
    MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    /// 7
    MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
    /// 5
    MLS_256_DHKEMP521_AES256GCM_SHA512_P521,
    /// 0xf031, for experiments.
    MLS_128_X25519Kyber768Draft00_AES128GCM_SHA256_Ed25519,
}

/// No conversation can use that cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cipher suite {} is not supported", .0.0)]
pub struct UnknownCipherSuite(pub CipherSuite);

impl From<CipherSuiteTag> for CipherSuite {
    fn from(tag: CipherSuiteTag) -> Self {
        Self(match tag {
            CipherSuiteTag::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 => 1,
            CipherSuiteTag::MLS_128_DHKEMP256_AES128GCM_SHA256_P256 => 2,
            CipherSuiteTag::MLS_256_DHKEMP384_AES256GCM_SHA384_P384 => 7,
            CipherSuiteTag::MLS_256_DHKEMP521_AES256GCM_SHA512_P521 => 5,
            CipherSuiteTag::MLS_128_X25519Kyber768Draft00_AES128GCM_SHA256_Ed25519 => 0xf031,
        })
    }
}

impl TryFrom<CipherSuite> for CipherSuiteTag {
    type Error = UnknownCipherSuite;

    fn try_from(suite: CipherSuite) -> Result<Self, UnknownCipherSuite> {
        match suite.0 {
            1 => Ok(Self::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519),
            2 => Ok(Self::MLS_128_DHKEMP256_AES128GCM_SHA256_P256),
            5 => Ok(Self::MLS_256_DHKEMP521_AES256GCM_SHA512_P521),
            7 => Ok(Self::MLS_256_DHKEMP384_AES256GCM_SHA384_P384),
            0xf031 => Ok(Self::MLS_128_X25519Kyber768Draft00_AES128GCM_SHA256_Ed25519),
            _ => Err(UnknownCipherSuite(suite)),
        }
    }
}

/// How a client signs; what version 0 asked for instead of a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SignatureSchemeTag {
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa_secp256r1_sha256")]
    EcdsaSecp256r1Sha256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa_secp384r1_sha384")]
    EcdsaSecp384r1Sha384,
    /// ECDSA on P-521.
    #[serde(rename = "ecdsa_secp521r1_sha512")]
    EcdsaSecp521r1Sha512,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
}

/// Keys of a backend by what they are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSKeysByPurpose<T> {
    /// Signing proposals that remove clients.
    pub removal: T,
}

/// A public key for each way of signing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSPublicKeys {
    /// Ed25519.
    pub ed25519: Base64ByteString,
    /// ECDSA on P-256.
    pub ecdsa_secp256r1_sha256: Base64ByteString,
    /// ECDSA on P-384.
    pub ecdsa_secp384r1_sha384: Base64ByteString,
    /// ECDSA on P-521.
    pub ecdsa_secp521r1_sha512: Base64ByteString,
}
