//! Key packages: what a stranger needs to add a client to a group.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::{ClientId, Domain, UserId};

use super::CipherSuite;
use crate::Base64ByteString;

/// Who wants whose key packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimKeyPackageRequest {
    /// A user of the origin.
    pub claimant: UserId,
    /// A user of the receiver.
    pub target: UserId,
    /// For which cipher suite.
    pub cipher_suite: CipherSuite,
}

/// One key package of each client that has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPackageBundle {
    /// The key packages.
    pub key_packages: BTreeSet<KeyPackageBundleEntry>,
}

/// A key package and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyPackageBundleEntry {
    /// The user.
    pub user: UserId,
    /// The user's backend.
    pub domain: Domain,
    /// The client.
    pub client: ClientId,
    /// The hash that names the key package (RFC 9420 §5.2).
    pub key_package_ref: Base64ByteString,
    /// The key package.
    pub key_package: Base64ByteString,
}
