//! Conversations of one backend as another sees them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::{ConversationId, Timestamp, UserId};

use super::{
    Access, AccessRole, AddPermission, ConvType, ConversationMetadata, GroupConvType, History, Milliseconds,
    OtherMember, Protocol, ProtocolV5, ReceiptMode, RoleName,
};
use crate::{Either, Unit, encoding::utc_time};

/// A conversation of the origin has been made with users of the receiver in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationCreated {
    /// When.
    #[serde(with = "utc_time")]
    pub time: Timestamp,
    /// Who made it; a user of the origin.
    pub orig_user_id: UserId,
    /// The conversation.
    pub cnv_id: ConversationId,
    /// Its type.
    pub cnv_type: ConvType,
    /// How people get in.
    pub cnv_access: Vec<Access>,
    /// Which people get in.
    pub cnv_access_roles: BTreeSet<AccessRole>,
    /// Its name.
    pub cnv_name: Option<String>,
    /// Who is in it besides its maker.
    pub non_creator_members: BTreeSet<OtherMember>,
    /// After what time messages vanish.
    pub message_timer: Option<Milliseconds>,
    /// Whether clients send receipts.
    pub receipt_mode: Option<ReceiptMode>,
    /// What messages are encrypted with.
    pub protocol: Protocol,
    /// What kind of group it is.
    pub group_conv_type: Option<GroupConvType>,
    /// Who adds members, if it is a channel.
    pub channel_add_permission: Option<AddPermission>,
    /// What newcomers see.
    #[serde(default)]
    pub history: History,
}

/// A user of the origin wants to see conversations of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetConversationsRequest {
    /// The user.
    pub user_id: UserId,
    /// The conversations.
    pub conv_ids: Vec<ConversationId>,
}

/// Those of them in which he is a member: the form before version 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetConversationsResponse {
    /// The conversations.
    pub convs: Vec<RemoteConversation>,
}

/// Those of them in which he is a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetConversationsResponseV2 {
    /// The conversations.
    pub convs: Vec<RemoteConversationV2>,
}

/// A conversation as a member of another backend sees it: the form before version 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteConversation {
    /// Its id, of the answering backend.
    pub id: ConversationId,
    /// What it is.
    pub metadata: ConversationMetadata,
    /// Who is in it.
    pub members: RemoteConvMembers,
    /// What messages are encrypted with.
    pub protocol: ProtocolV5,
}

/// A conversation as a member of another backend sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteConversationV2 {
    /// Its id, of the answering backend.
    pub id: ConversationId,
    /// What it is.
    pub metadata: ConversationMetadata,
    /// Who is in it.
    pub members: RemoteConvMembers,
    /// What messages are encrypted with.
    pub protocol: Protocol,
}

impl From<RemoteConversationV2> for RemoteConversation {
    fn from(RemoteConversationV2 { id, metadata, members, protocol }: RemoteConversationV2) -> Self {
        Self { id, metadata, members, protocol: ProtocolV5(protocol) }
    }
}

impl From<RemoteConversation> for RemoteConversationV2 {
    fn from(RemoteConversation { id, metadata, members, protocol }: RemoteConversation) -> Self {
        Self { id, metadata, members, protocol: protocol.0 }
    }
}

impl From<GetConversationsResponseV2> for GetConversationsResponse {
    fn from(response: GetConversationsResponseV2) -> Self {
        Self { convs: response.convs.into_iter().map(Into::into).collect() }
    }
}

impl From<GetConversationsResponse> for GetConversationsResponseV2 {
    fn from(response: GetConversationsResponse) -> Self {
        Self { convs: response.convs.into_iter().map(Into::into).collect() }
    }
}

/// Who is in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteConvMembers {
    /// The role of the user who asks.
    pub self_role: RoleName,
    /// The others, of whatever backend.
    pub others: Vec<OtherMember>,
}

/// A user of the origin leaves a conversation of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveConversationRequest {
    /// The conversation.
    pub conv_id: ConversationId,
    /// The user.
    pub leaver: UserId,
}

/// What became of it.
pub type LeaveConversationResponse = Either<RemoveFromConversationError, Unit>;

/// Why somebody cannot leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RemoveFromConversationError {
    /// No such conversation.
    #[serde(rename = "RemoveFromConversationErrorNotFound")]
    NotFound,
    /// One does not leave conversations of that type.
    #[serde(rename = "RemoveFromConversationErrorRemovalNotAllowed")]
    RemovalNotAllowed,
    /// He was not in it.
    #[serde(rename = "RemoveFromConversationErrorUnchanged")]
    Unchanged,
}
