//! Subconversations: further groups within a conversation, such as calls.

use serde::{Deserialize, Serialize};
use types::{ClientId, ConversationId, Qualified, UserId};

use super::{ClientIdentity, Epoch, GroupId, SubConvId};
use crate::{
    GalleyError,
    conversation::{ActiveMLSConversationData, active_data},
    sum::sum,
};

/// A user of the origin wants to see a part of a conversation of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetSubConversationsRequest {
    /// The user.
    #[serde(rename = "gsreq_user")]
    pub user: UserId,
    /// The conversation.
    #[serde(rename = "gsreq_conv")]
    pub conv: ConversationId,
    /// The part.
    #[serde(rename = "gsreq_sub_conv")]
    pub sub_conv: SubConvId,
}

sum! {
    /// The subconversation asked for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum GetSubConversationsResponse {
        /// Refused.
        Error(GalleyError) = "GetSubConversationsResponseError",
        /// Here it is.
        Success(PublicSubConversation) = "GetSubConversationsResponseSuccess",
    }
}

/// A subconversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicSubConversation {
    /// The conversation it is part of.
    pub parent_qualified_id: Qualified<ConversationId>,
    /// Its name.
    pub subconv_id: SubConvId,
    /// Its group.
    pub group_id: GroupId,
    /// The group's state, once it has seen a commit.
    #[serde(flatten, with = "active_data")]
    pub active_data: Option<ActiveMLSConversationData>,
    /// Who is in the group.
    pub members: Vec<ClientIdentity>,
}

/// A user of the origin wants a part of a conversation of the receiver to begin anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteSubConversationFedRequest {
    /// The user.
    #[serde(rename = "dscreq_user")]
    pub user: UserId,
    /// The conversation.
    #[serde(rename = "dscreq_conv")]
    pub conv: ConversationId,
    /// The part.
    #[serde(rename = "dscreq_sub_conv")]
    pub sub_conv: SubConvId,
    /// Its group, as the user knows it.
    #[serde(rename = "dscreq_group_id")]
    pub group_id: GroupId,
    /// The group's epoch, as the user knows it.
    #[serde(rename = "dscreq_epoch")]
    pub epoch: Epoch,
}

sum! {
    /// What became of the wish.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum DeleteSubConversationResponse {
        /// Refused.
        Error(GalleyError) = "DeleteSubConversationResponseError",
        /// Done.
        Success = "DeleteSubConversationResponseSuccess",
    }
}

/// A client of the origin leaves a part of a conversation of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveSubConversationRequest {
    /// The user.
    #[serde(rename = "lscr_user")]
    pub user: UserId,
    /// The client.
    #[serde(rename = "lscr_client")]
    pub client: ClientId,
    /// The conversation.
    #[serde(rename = "lscr_conv")]
    pub conv: ConversationId,
    /// The part.
    #[serde(rename = "lscr_sub_conv")]
    pub sub_conv: SubConvId,
}

sum! {
    /// What became of it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum LeaveSubConversationResponse {
        /// Refused.
        Error(GalleyError) = "LeaveSubConversationResponseError",
        /// Done.
        Ok = "LeaveSubConversationResponseOk",
        /// Refused, because it breaks MLS' rules in that way.
        ProtocolError(String) = "LeaveSubConversationResponseProtocolError",
    }
}
