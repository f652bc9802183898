//! Asking the owner of a conversation for a change, and telling other backends of one.

use serde::{Deserialize, Serialize};
use types::{ClientId, ConversationId, Qualified, Timestamp, UserId};

use super::SomeConversationAction;
use crate::{
    GalleyError,
    backends::{NonFederatingBackends, UnreachableBackends},
    encoding::utc_time,
    list::Chunk,
    mls::GroupId,
    sum::sum,
};

/// A user of the origin wants to change a conversation of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationUpdateRequest {
    /// The user.
    pub user: UserId,
    /// The conversation.
    pub conv_id: ConversationId,
    /// The change.
    pub action: SomeConversationAction,
}

sum! {
    /// What became of the wish.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ConversationUpdateResponse {
        /// Refused.
        Error(GalleyError) = "ConversationUpdateResponseError",
        /// It was so before.
        NoChanges = "ConversationUpdateResponseNoChanges",
        /// Refused, because two backends of members do not federate with each other.
        NonFederatingBackends(NonFederatingBackends) = "ConversationUpdateResponseNonFederatingBackends",
        /// Refused, because backends that had to be asked did not answer.
        UnreachableBackends(UnreachableBackends) = "ConversationUpdateResponseUnreachableBackends",
        /// Done. The asking backend applies the change by this answer: nothing else tells it.
        Update(ConversationUpdate) = "ConversationUpdateResponseUpdate",
    }
}

/// A conversation of the origin has changed. Its own fields are camelCase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationUpdate {
    /// When.
    #[serde(with = "utc_time")]
    pub time: Timestamp,
    /// Who changed it.
    pub orig_user_id: Qualified<UserId>,
    /// Which one.
    pub conv_id: ConversationId,
    /// Users of the receiver who were members before, as far as the origin knows.
    pub already_present_users: Vec<UserId>,
    /// The change.
    pub action: SomeConversationAction,
    /// What the receiver should know besides.
    pub extra_conversation_data: Option<ExtraConversationData>,
}

/// What a receiver should know besides a change.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExtraConversationData {
    /// The group of a conversation whose group began anew.
    pub group_id: Option<GroupId>,
}

/// A conversation of the origin has changed: the form of version 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationUpdateV0 {
    /// When.
    #[serde(rename = "cuTime", with = "utc_time")]
    pub time: Timestamp,
    /// Who changed it.
    #[serde(rename = "cuOrigUserId")]
    pub orig_user_id: Qualified<UserId>,
    /// Which one.
    #[serde(rename = "cuConvId")]
    pub conv_id: ConversationId,
    /// Users of the receiver who were members before, as far as the origin knows.
    #[serde(rename = "cuAlreadyPresentUsers")]
    pub already_present_users: Vec<UserId>,
    /// The change.
    #[serde(rename = "cuAction")]
    pub action: SomeConversationAction,
}

impl From<ConversationUpdate> for ConversationUpdateV0 {
    fn from(update: ConversationUpdate) -> Self {
        Self {
            time: update.time,
            orig_user_id: update.orig_user_id,
            conv_id: update.conv_id,
            already_present_users: update.already_present_users,
            action: update.action,
        }
    }
}

impl From<ConversationUpdateV0> for ConversationUpdate {
    fn from(update: ConversationUpdateV0) -> Self {
        Self {
            time: update.time,
            orig_user_id: update.orig_user_id,
            conv_id: update.conv_id,
            already_present_users: update.already_present_users,
            action: update.action,
            extra_conversation_data: None,
        }
    }
}

/// A client of the origin is gone; it is to be removed from groups of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRemovedRequest {
    /// Whose it was.
    pub user: UserId,
    /// The client.
    pub client: ClientId,
    /// The conversations, of the receiver.
    pub convs: Vec<ConversationId>,
}

/// A user is gone; he is to be removed from conversations of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDeletedConversationsNotification {
    /// The user, of the origin.
    pub user: UserId,
    /// The conversations, of the receiver.
    pub conversations: Chunk<ConversationId>,
}
