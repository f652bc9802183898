//! Conversations of two users.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use types::{ConversationId, Qualified, UserId};
use uuid::{Builder, Uuid, Variant, Version, uuid};

use super::{RemoteConversation, RemoteConversationV2};
use crate::{
    mls::{MLSKeysByPurpose, MLSPublicKeys},
    sum::sum,
    user::BaseProtocolTag,
};

/// The one conversation that two users have in a protocol, and the backend that owns it. Each side computes it; the
/// order of the users does not matter (`federation.md` §6.4).
///
/// The hash covers the users' ids in their text form, 36 characters each.
pub fn one2one_conversation_id(
    protocol: BaseProtocolTag,
    one: &Qualified<UserId>,
    other: &Qualified<UserId>,
) -> Qualified<ConversationId> {
    // `Qualified` orders by domain, then by id.
    let (a, b) = if one <= other { (one, other) } else { (other, one) };
    let mut hash = Sha256::new();
    hash.update(namespace(protocol).as_bytes());
    for user in [a, b] {
        hash.update(user.id.to_string());
        hash.update(user.domain.as_str());
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    let id = Builder::from_bytes(id).with_variant(Variant::RFC4122).with_version(Version::Sha1).into_uuid();
    let owner = if hash[16] & 0x80 == 0 { a } else { b };
    Qualified::new(ConversationId(id), owner.domain.clone())
}

const fn namespace(protocol: BaseProtocolTag) -> Uuid {
    match protocol {
        BaseProtocolTag::Proteus => uuid!("9a51edb8-060c-0d9a-0c29-50a85d152982"),
        BaseProtocolTag::Mls => uuid!("95589dd5-b045-40dc-a6aa-dd9c4fad1c2f"),
    }
}

/// A user of the origin wants to see the MLS conversation with a user of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetOne2OneConversationRequest {
    /// The user of the origin.
    #[serde(rename = "gooc_sender_user")]
    pub sender_user: UserId,
    /// The user of the receiver.
    #[serde(rename = "gooc_receiver_user")]
    pub receiver_user: UserId,
}

sum! {
    /// The conversation asked for: the form of version 1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum GetOne2OneConversationResponse {
        /// It belongs to the backend that asks.
        BackendMismatch = "GetOne2OneConversationBackendMismatch",
        /// The two are not connected.
        NotConnected = "GetOne2OneConversationNotConnected",
        /// Here it is.
        Ok(Box<RemoteConversation>) = "GetOne2OneConversationOk",
    }
}

sum! {
    /// The conversation asked for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum GetOne2OneConversationResponseV2 {
        /// It belongs to the backend that asks.
        BackendMismatch = "GetOne2OneConversationV2BackendMismatch",
        /// The receiver does not speak MLS.
        MLSNotEnabled = "GetOne2OneConversationV2MLSNotEnabled",
        /// The two are not connected.
        NotConnected = "GetOne2OneConversationV2NotConnected",
        /// Here it is.
        Ok(Box<RemoteMLSOne2OneConversation>) = "GetOne2OneConversationV2Ok",
    }
}

/// A conversation of two users and the keys of its backend, by which clients know who may remove members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteMLSOne2OneConversation {
    /// The conversation.
    pub conversation: RemoteConversationV2,
    /// The keys.
    pub public_keys: MLSKeysByPurpose<MLSPublicKeys>,
}
