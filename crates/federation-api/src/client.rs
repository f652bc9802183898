//! Clients (devices) of users.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use types::{ClientId, Domain, UserId};

use crate::{
    Base64ByteString,
    mls::{CipherSuite, SignatureSchemeTag},
};

/// Something for each of some users of one backend.
pub type UserMap<T> = BTreeMap<UserId, T>;

/// Something for each of some clients of some users of one backend.
pub type UserClientMap<T> = BTreeMap<UserId, BTreeMap<ClientId, T>>;

/// Clients of users of one backend.
pub type UserClients = BTreeMap<UserId, BTreeSet<ClientId>>;

/// Clients of users of several backends.
pub type QualifiedUserClients = BTreeMap<Domain, UserClients>;

/// Whose clients are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetUserClients {
    /// Users of the receiver.
    pub users: Vec<UserId>,
}

/// What everybody may know of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PubClient {
    /// Which one.
    pub id: ClientId,
    /// The kind of device, if its owner told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClientClass>,
}

/// A kind of device. Upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientClass {
    /// A phone.
    Phone,
    /// A tablet.
    Tablet,
    /// A computer.
    Desktop,
    /// A legal hold device.
    LegalHold,
}

/// Whose clients are asked for, for a signature scheme: the form of version 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSClientsRequestV0 {
    /// A user of the receiver.
    pub user_id: UserId,
    /// What the clients are to sign with.
    pub signature_scheme: SignatureSchemeTag,
}

/// Whose clients are asked for, for a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSClientsRequest {
    /// A user of the receiver.
    pub user_id: UserId,
    /// What the clients are to speak.
    pub cipher_suite: CipherSuite,
}

impl From<MLSClientsRequest> for MLSClientsRequestV0 {
    /// Version 0 knows one cipher suite in practice; its scheme is asked for.
    fn from(request: MLSClientsRequest) -> Self {
        Self { user_id: request.user_id, signature_scheme: SignatureSchemeTag::Ed25519 }
    }
}

impl From<MLSClientsRequestV0> for MLSClientsRequest {
    /// Version 0 means the oldest cipher suite, whatever the scheme.
    fn from(request: MLSClientsRequestV0) -> Self {
        Self { user_id: request.user_id, cipher_suite: CipherSuite::LEGACY }
    }
}

/// Which client is asked for, for a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSClientRequest {
    /// A user of the receiver.
    pub user_id: UserId,
    /// One of that user's clients.
    pub client_id: ClientId,
    /// What the client is to speak.
    pub cipher_suite: CipherSuite,
}

/// What a client can do in MLS with the cipher suite asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientInfo {
    /// Which one.
    pub id: ClientId,
    /// Its public signature key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mls_signature_key: Option<Base64ByteString>,
    /// Whether it has key packages left.
    pub mls: bool,
}
