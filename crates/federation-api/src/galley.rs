//! What galley answers: conversations and messages (`federation.md` §6.6 and §6.7).
//!
//! The *owner* of a conversation is the backend whose id it bears: it alone changes the conversation and tells the
//! others. Ids without a domain belong to the origin where they are the caller's and to the receiver otherwise.

use crate::{
    EmptyResponse, VersionRange,
    conversation::{
        ClientRemovedRequest, ConversationCreated, ConversationUpdate, ConversationUpdateRequest,
        ConversationUpdateResponse, ConversationUpdateV0, GetConversationsRequest, GetConversationsResponse,
        GetConversationsResponseV2, GetOne2OneConversationRequest, GetOne2OneConversationResponse,
        GetOne2OneConversationResponseV2, LeaveConversationRequest, LeaveConversationResponse,
        UserDeletedConversationsNotification,
    },
    declare::rpcs,
    message::{MessageSendResponse, ProteusMessageSendRequest, RemoteMLSMessage, RemoteMessage},
    mls::{
        DeleteSubConversationFedRequest, DeleteSubConversationResponse, GetGroupInfoRequest, GetGroupInfoResponse,
        GetSubConversationsRequest, GetSubConversationsResponse, LeaveSubConversationRequest,
        LeaveSubConversationResponse, MLSMessageResponse, MLSMessageSendRequest, MLSWelcomeRequest, MLSWelcomeResponse,
    },
    typing::{TypingDataUpdateRequest, TypingDataUpdateResponse, TypingDataUpdated},
};

const ALL: VersionRange = VersionRange::ALL;
const SINCE_V1: VersionRange = VersionRange::from(1);
const SINCE_V2: VersionRange = VersionRange::from(2);

/// Bytes of a request that carries what a client wrote for all clients of a group. The edge of wire-server takes
/// Proteus messages of 40 MiB (`delivery.md` §8.1), which are 54 MiB in base64, and commit bundles of 70 MiB. Of these
/// the 48 MiB that fit in base64 are the commit, the group info and the welcome of a group of tens of thousands of
/// clients. Every such request is held in memory as a whole, and so it is not more.
const CARRIES_MESSAGES: usize = 64 * 1024 * 1024;

rpcs! { Galley:
    /// A member wants a subconversation to begin anew. The owner checks that he is a member of the whole and knows
    /// the present group and epoch.
    DeleteSubConversation = "delete-sub-conversation" SINCE_V1, Call
        (DeleteSubConversationFedRequest) -> DeleteSubConversationResponse;

    /// A user opens conversations that he is told to be in. The owner answers with those of which he is a member and
    /// says nothing of the others.
    GetConversations = "get-conversations" SINCE_V2, Call (GetConversationsRequest) -> GetConversationsResponseV2;

    /// The same in the form before version 2.
    GetConversationsV1 = "get-conversations" VersionRange::until(2), Call
        (GetConversationsRequest) -> GetConversationsResponse;

    /// A user opens the MLS conversation with a user of the receiver. The receiver checks that the two are connected
    /// and that the conversation is its own.
    GetOne2OneConversation = "get-one2one-conversation" SINCE_V2, Call
        (GetOne2OneConversationRequest) -> GetOne2OneConversationResponseV2;

    /// The same in the form of version 1. A receiver that owns the conversation refuses, because the form lacks the
    /// keys that clients need.
    GetOne2OneConversationV1 = "get-one2one-conversation" VersionRange::between(1, 2), Call
        (GetOne2OneConversationRequest) -> GetOne2OneConversationResponse;

    /// A member opens a subconversation, which comes into being by that. The owner checks that he is a member of the
    /// whole.
    GetSubConversation = "get-sub-conversation" SINCE_V1, Call
        (GetSubConversationsRequest) -> GetSubConversationsResponse;

    /// A member leaves. The owner tells the other backends; the leaver's own learns of it by the answer.
    LeaveConversation = "leave-conversation" ALL, Call (LeaveConversationRequest) -> LeaveConversationResponse;

    /// A client leaves a subconversation. The owner checks that its user is a member of the whole.
    LeaveSubConversation = "leave-sub-conversation" SINCE_V1, Call
        (LeaveSubConversationRequest) -> LeaveSubConversationResponse;

    /// A welcome for users who were added to a group by a commit.
    MlsWelcome = "mls-welcome" ALL, Call (MLSWelcomeRequest) -> MLSWelcomeResponse, max_body: CARRIES_MESSAGES;

    /// A client of a member is gone. The owner proposes its removal to the groups of the conversations named.
    OnClientRemoved = "on-client-removed" ALL, Notification (ClientRemovedRequest) -> EmptyResponse;

    /// A user has made a Proteus conversation with users of the receiver. The receiver takes in those of them who
    /// are connected with him, and tells them. Answered while the user waits.
    OnConversationCreated = "on-conversation-created" ALL, Call (ConversationCreated) -> EmptyResponse;

    /// The owner has changed a conversation. The receiver believes it for conversations of the origin alone, takes
    /// in only those of its users who are connected with whoever added them, and tells its members.
    OnConversationUpdated = "on-conversation-updated" SINCE_V1, Notification (ConversationUpdate) -> EmptyResponse;

    /// The same in the form of version 0.
    OnConversationUpdatedV0 = "on-conversation-updated" VersionRange::until(1), Notification
        (ConversationUpdateV0) -> EmptyResponse;

    /// An MLS message for users of the receiver. The receiver delivers it to those it knows as members.
    OnMlsMessageSent = "on-mls-message-sent" ALL, Notification
        (RemoteMLSMessage) -> EmptyResponse, max_body: CARRIES_MESSAGES;

    /// A Proteus message for users of the receiver. The receiver delivers it to those it knows as members.
    OnMessageSent = "on-message-sent" ALL, Notification
        (RemoteMessage) -> EmptyResponse, max_body: CARRIES_MESSAGES;

    /// Somebody types in a conversation of the origin. Nothing is lost if it fails.
    OnTypingIndicatorUpdated = "on-typing-indicator-updated" ALL, Call (TypingDataUpdated) -> EmptyResponse;

    /// A user of the origin is gone. The owner removes him from the conversations named and tells the rest. The
    /// origin sends as many of these as its chunks need.
    OnUserDeletedConversations = "on-user-deleted-conversations" ALL, Notification
        (UserDeletedConversationsNotification) -> EmptyResponse;

    /// A member wants to join a group by himself. The owner checks that he is a member.
    QueryGroupInfo = "query-group-info" ALL, Call (GetGroupInfoRequest) -> GetGroupInfoResponse;

    /// A Proteus message from a member. The owner checks what it checks for its own users and passes the message on
    /// to all of them.
    SendMessage = "send-message" ALL, Call
        (ProteusMessageSendRequest) -> MessageSendResponse, max_body: CARRIES_MESSAGES;

    /// A commit from a member, with group info and perhaps a welcome. The owner checks that he is a member and
    /// judges the commit.
    SendMlsCommitBundle = "send-mls-commit-bundle" ALL, Call
        (MLSMessageSendRequest) -> MLSMessageResponse, max_body: CARRIES_MESSAGES;

    /// An MLS message from a member. The owner checks that he is a member and that the group is the conversation's.
    SendMlsMessage = "send-mls-message" ALL, Call (MLSMessageSendRequest) -> MLSMessageResponse;

    /// A member wants to change a conversation. The owner checks his role, changes it, and tells the other backends;
    /// the asking one learns of it by the answer alone.
    UpdateConversation = "update-conversation" ALL, Call (ConversationUpdateRequest) -> ConversationUpdateResponse;

    /// A member types. The owner checks that he is a member and passes it on.
    UpdateTypingIndicator = "update-typing-indicator" ALL, Call
        (TypingDataUpdateRequest) -> TypingDataUpdateResponse;
}
