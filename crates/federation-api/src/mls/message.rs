//! MLS messages on their way to the owner of a group, welcomes, and what the owner says to them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::{ClientId, ConversationId, Domain, Qualified, UserId};

use super::{ClientIdentity, ConvOrSubConvId, Epoch, GroupId, SubConvId};
use crate::{
    Base64ByteString, ConversationUpdate, GalleyError, JSONResponse,
    backends::{NonFederatingBackends, UnreachableBackends},
    encoding::also_writes,
    sum::sum,
};

/// An MLS message, or a commit with what belongs to it, from a user of the origin into a group of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSMessageSendRequest {
    /// The conversation or part of one.
    pub conv_or_sub_id: ConvOrSubConvId,
    /// The user.
    pub sender: UserId,
    /// With which client.
    pub sender_client: ClientId,
    /// The message; for a commit bundle several, one behind the other.
    pub raw_message: Base64ByteString,
    /// Whether the sender wants to hear of members missing from the group.
    pub enable_out_of_sync_check: Option<EnableOutOfSyncCheck>,
}

/// Whether a group that lacks members of its conversation is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EnableOutOfSyncCheck {
    /// It is not; the default.
    DisableOutOfSyncCheck,
    /// It is.
    EnableOutOfSyncCheck,
}

sum! {
    /// What became of an MLS message.
    #[derive(Clone, Debug, PartialEq)]
    pub enum MLSMessageResponse {
        /// Refused.
        Error(GalleyError) = "MLSMessageResponseError",
        /// Refused, because the group info does not fit what the owner knows of the group.
        GroupInfoDiagnostics(GroupInfoDiagnostics) = "MLSMessageResponseGroupInfoDiagnostics",
        /// Refused, because two backends of members do not federate with each other.
        NonFederatingBackends(NonFederatingBackends) = "MLSMessageResponseNonFederatingBackends",
        /// Refused, because members of the conversation are missing from the group.
        OutOfSyncError(MLSOutOfSyncError) = "MLSMessageResponseOutOfSyncError",
        /// Refused, because adding or removing somebody failed with that answer.
        ProposalFailure(JSONResponse) = "MLSMessageResponseProposalFailure",
        /// Refused, because it breaks MLS' rules in that way.
        ProtocolError(String) = "MLSMessageResponseProtocolError",
        /// Refused, because backends that had to be asked did not answer.
        UnreachableBackends(BTreeSet<Domain>) = "MLSMessageResponseUnreachableBackends",
        /// Done; these changes of the conversation are for the sender's backend to apply.
        Updates(Vec<ConversationUpdate>) = "MLSMessageResponseUpdates",
    }
}

impl From<UnreachableBackends> for MLSMessageResponse {
    fn from(backends: UnreachableBackends) -> Self {
        Self::UnreachableBackends(backends.unreachable_backends.into_iter().collect())
    }
}

/// Members of the conversation that are missing from its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSOutOfSyncError {
    /// Who.
    pub missing_users: Vec<Qualified<UserId>>,
}

/// All there is to find out why a group info was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct GroupInfoDiagnostics {
    /// The commit.
    pub commit: Base64ByteString,
    /// The group info that came with it.
    pub group_info: Base64ByteString,
    /// The group.
    pub group_id: GroupId,
    /// Who is in it, as far as the owner knows.
    pub clients: Vec<IndexedClient>,
    /// The group's conversation.
    pub conv_id: ConversationId,
    /// The group's part of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subconv_id: Option<SubConvId>,
    /// The conversation's backend.
    pub domain: Domain,
}

also_writes!(GroupInfoDiagnostics {
    code: u16 = |_this| 400,
    label: &'static str = |_this| "inconsistent-group-state",
    message: &'static str = |_this| "Submitted group info is inconsistent with the backend group state",
});

/// A client and its place in the group's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedClient {
    /// The leaf.
    pub index: i64,
    /// Who sits there.
    pub client: ClientIdentity,
}

/// Which group a conversation is to leave behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSReset {
    /// The group.
    pub group_id: GroupId,
    /// The epoch it must still be in.
    pub epoch: Epoch,
}

/// A welcome for users of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MLSWelcomeRequest {
    /// Who added them; a user of the origin.
    pub originating_user: UserId,
    /// The welcome.
    pub welcome_message: Base64ByteString,
    /// Clients of the receiver.
    pub recipients: Vec<(UserId, ClientId)>,
    /// Where they were added.
    pub qualified_conv_id: Qualified<ConversationId>,
}

/// What became of a welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MLSWelcomeResponse {
    /// The receiver does not speak MLS.
    MLSWelcomeMLSNotEnabled,
    /// On its way to the clients.
    MLSWelcomeSent,
}

/// A user of the origin wants to join a group of the receiver by himself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetGroupInfoRequest {
    /// The conversation or part of one.
    pub conv: ConvOrSubConvId,
    /// The user.
    pub sender: UserId,
}

sum! {
    /// The group info asked for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum GetGroupInfoResponse {
        /// Refused.
        Error(GalleyError) = "GetGroupInfoResponseError",
        /// The group info of the last commit.
        State(Base64ByteString) = "GetGroupInfoResponseState",
    }
}
