//! Messages: Proteus ones on their way to the owner of a conversation, and both kinds on their way to recipients.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{ClientId, ConversationId, Qualified, Timestamp, UserId};

use crate::{
    Base64ByteString, Either,
    client::{QualifiedUserClients, UserClientMap},
    encoding::{null_is_default, null_is_true, utc_time, yes},
    list::NonEmpty,
    mls::SubConvId,
    sum::sum,
};

/// A Proteus message from a user of the origin into a conversation of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProteusMessageSendRequest {
    /// The conversation.
    pub conv_id: ConversationId,
    /// The user.
    pub sender: UserId,
    /// The protobuf message `QualifiedNewOtrMessage` as the client sent it.
    pub raw_message: Base64ByteString,
}

/// What became of a message: refused and why, or delivered to whom.
pub type MessageSendResponse = Either<MessageNotSent, MessageSendingStatus>;

sum! {
    /// Why a message was not sent to anybody.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum MessageNotSent {
        /// Not encrypted for every client it should have been; the status says for which.
        ClientMissing(MessageSendingStatus) = "MessageNotSentClientMissing",
        /// No such conversation, or the sender is no member of it.
        ConversationNotFound = "MessageNotSentConversationNotFound",
        /// Somebody is under legal hold and somebody else has not consented.
        Legalhold = "MessageNotSentLegalhold",
        /// Somebody is under legal hold and somebody else has clients that cannot show it.
        LegalholdOldClients = "MessageNotSentLegalholdOldClients",
        /// The sending client is none of the sender's.
        UnknownClient = "MessageNotSentUnknownClient",
    }
}

/// How the clients that a message was encrypted for differ from those it should have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSendingStatus {
    /// When the message was taken.
    pub time: Timestamp,
    /// Clients without a text.
    pub missing: QualifiedUserClients,
    /// Clients with a text that should have none.
    pub redundant: QualifiedUserClients,
    /// Clients with a text that are gone.
    pub deleted: QualifiedUserClients,
    /// Clients of backends that could not be told.
    pub failed_to_send: QualifiedUserClients,
    /// Clients of backends that could not say which clients they have.
    pub failed_to_confirm_clients: QualifiedUserClients,
}

/// How urgently phones are to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// At once.
    High,
    /// When convenient.
    Low,
}

/// A Proteus message for users of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteMessage {
    /// When it was sent.
    #[serde(with = "utc_time")]
    pub time: Timestamp,
    /// What all recipients get alike, besides their own text.
    pub data: Option<String>,
    /// Who sent it.
    pub sender: Qualified<UserId>,
    /// With which client.
    pub sender_client: ClientId,
    /// Into which conversation of the origin.
    pub conversation: ConversationId,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// Whether phones are to be woken.
    pub push: bool,
    /// Whether it is lost on clients that are not online.
    pub transient: bool,
    /// The text for each client, base64.
    pub recipients: UserClientMap<String>,
}

/// An MLS message for users of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteMLSMessage {
    /// When it was sent.
    #[serde(with = "utc_time")]
    pub time: Timestamp,
    /// How it is to be delivered.
    pub metadata: MessageMetadata,
    /// Who sent it.
    pub sender: Qualified<UserId>,
    /// Into which conversation of the origin.
    pub conversation: ConversationId,
    /// Into which part of it.
    pub sub_conversation: Option<SubConvId>,
    /// For which clients.
    pub recipients: BTreeMap<UserId, NonEmpty<ClientId>>,
    /// The message, the same for all.
    pub message: Base64ByteString,
}

/// How a message is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageMetadata {
    /// Whether phones are to be woken; they are if nothing is said.
    #[serde(default = "yes", deserialize_with = "null_is_true")]
    pub native_push: bool,
    /// Whether it is lost on clients that are not online.
    #[serde(default, deserialize_with = "null_is_default")]
    pub transient: bool,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_priority: Option<Priority>,
    /// What all recipients get alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}
