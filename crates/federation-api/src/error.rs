//! Errors that travel inside answers.

use serde::{Deserialize, Serialize};

use crate::sum::sum;

sum! {
    /// Why galley refused: `{"tag": …}`. Each has a status, a label and a message in the public API.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub enum GalleyError {
        /// No right to that resource.
        AccessDenied,
        /// The role in the conversation does not allow that.
        ActionDenied(Action),
        /// Too many recipients of a broadcast.
        BroadcastLimitExceeded,
        /// Too many ids in one request.
        BulkGetMemberLimitExceeded,
        /// The team is too large for legal hold.
        CannotEnableLegalHoldServiceLargeTeam,
        /// The team has no channels.
        ChannelsNotEnabled,
        /// No such conversation code.
        CodeNotFound,
        /// No right to that conversation.
        ConvAccessDenied,
        /// A conversation cannot go from that protocol to that one.
        ConvInvalidProtocolTransition,
        /// No such member.
        ConvMemberNotFound,
        /// No such conversation.
        ConvNotFound,
        /// The conversation has a code with another password setting.
        CreateConversationCodeConflict,
        /// No custom backend for that domain.
        CustomBackendNotFound,
        /// Too many deletions wait.
        DeleteQueueFull,
        /// A backend in the conversation cannot read the group's id.
        GroupIdVersionNotSupported,
        /// The team has no guest links.
        GuestLinksDisabled,
        /// The conversation cannot share its history.
        HistoryNotSupported,
        /// No such actions.
        InvalidAction,
        /// Wrong password of a conversation.
        InvalidConversationPassword,
        /// Not with that conversation.
        InvalidOperation,
        /// No such permissions.
        InvalidPermissions,
        /// Not with that target.
        InvalidTarget,
        /// Not with that target's access.
        InvalidTargetAccess,
        /// No such notification of a team.
        InvalidTeamNotificationId,
        /// A team cannot be given that status.
        InvalidTeamStatusUpdate,
        /// Conflicts of legal hold could not be resolved.
        LegalHoldCouldNotBlockConnections,
        /// Legal hold cannot be switched off for listed teams.
        LegalHoldDisableUnimplemented,
        /// The team has no legal hold.
        LegalHoldNotEnabled,
        /// The legal hold service answered nonsense.
        LegalHoldServiceBadResponse,
        /// The legal hold service's key is unusable.
        LegalHoldServiceInvalidKey,
        /// The team has no legal hold service.
        LegalHoldServiceNotRegistered,
        /// Not all clients of a user were added or removed.
        MLSClientMismatch,
        /// The sending client is not the sender's.
        MLSClientSenderUserMismatch,
        /// The commit leaves out pending proposals.
        MLSCommitMissingReferences,
        /// The client has a key of that scheme.
        MLSDuplicatePublicKey,
        /// The client is too old for one-to-one conversations of two backends.
        MLSFederatedOne2OneNotSupported,
        /// The owner's backend is too old to let the group begin anew.
        MLSFederatedResetNotSupported,
        /// The group is not the conversation's.
        MLSGroupConversationMismatch,
        /// The leaf's key is not the client's.
        MLSIdentityMismatch,
        /// No such leaf in the group's tree.
        MLSInvalidLeafNodeIndex,
        /// A leaf is signed wrongly.
        MLSInvalidLeafNodeSignature,
        /// Nobody under legal hold takes part in MLS.
        MLSLegalholdIncompatible,
        /// The conversation is not ready for MLS alone.
        MLSMigrationCriteriaNotSatisfied,
        /// The group has no group info yet.
        MLSMissingGroupInfo,
        /// Members of an MLS conversation are added by commits alone.
        MLSNonEmptyMemberList,
        /// The backend does not speak MLS.
        MLSNotEnabled,
        /// The commit refers to a proposal that nobody knows.
        MLSProposalNotFound,
        /// A rule of MLS is broken.
        MLSProtocolErrorTag,
        /// MLS conversations have no read receipts.
        MLSReadReceiptsNotAllowed,
        /// A client cannot remove itself.
        MLSSelfRemovalNotAllowed,
        /// The message is of an epoch that has passed.
        MLSStaleMessage,
        /// The client is not in the group of the whole conversation.
        MLSSubConvClientNotInParent,
        /// Conversations of that type have no parts.
        MLSSubConvUnsupportedConvType,
        /// A client is named where none is expected.
        MLSUnexpectedSenderClient,
        /// No message of that kind.
        MLSUnsupportedMessage,
        /// No proposal of that kind.
        MLSUnsupportedProposal,
        /// The welcome is for others than those added.
        MLSWelcomeMismatch,
        /// No such meeting.
        MeetingNotFound,
        /// Somebody is under legal hold and somebody else has not consented.
        MissingLegalholdConsent,
        /// Somebody is under legal hold and somebody else's clients cannot show it.
        MissingLegalholdConsentOldClients,
        /// The role in the team does not allow that.
        MissingPermission(Option<Perm>),
        /// Users are only invited into such a team.
        NoAddToBinding,
        /// Not in such a team.
        NoBindingTeam,
        /// The two users are not in the same team.
        NoBindingTeamMembers,
        /// The user has no legal hold device.
        NoLegalHoldDeviceAllocated,
        /// The user has not consented to legal hold.
        NoUserLegalHoldConsent,
        /// Not a member of such a team.
        NonBindingTeam,
        /// The asking user is not in the team.
        NotATeamMember,
        /// The team has other members.
        NotAOneMemberTeam,
        /// Only with MLS conversations.
        NotAnMlsConversation,
        /// The users are not connected.
        NotConnected,
        /// No such member of the team.
        TeamMemberNotFound,
        /// No such team.
        TeamNotFound,
        /// The team's search cannot be restricted.
        TeamSearchVisibilityNotEnabled,
        /// The conversation is full.
        TooManyMembers,
        /// The team has as many admins as it may.
        TooManyTeamAdmins,
        /// The team is full.
        TooManyTeamMembers,
        /// A team with legal hold cannot grow further.
        TooManyTeamMembersOnTeamWithLegalhold,
        /// The user is in another team.
        UserBindingExists,
        /// The user is under legal hold.
        UserLegalHoldAlreadyEnabled,
        /// That step of legal hold does not follow on the last one.
        UserLegalHoldIllegalOperation,
        /// No legal hold waits for the user's word.
        UserLegalHoldNotPending,
    }
}

/// What a role in a conversation can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Adding members.
    AddConversationMember,
    /// Deleting it.
    DeleteConversation,
    /// Leaving it.
    LeaveConversation,
    /// Changing who adds members. (In texts for people upstream says `modify_add_permissions`.)
    ModifyAddPermission,
    /// Changing who gets in.
    ModifyConversationAccess,
    /// Changing after what time messages vanish.
    ModifyConversationMessageTimer,
    /// Changing its name.
    ModifyConversationName,
    /// Changing whether clients send receipts.
    ModifyConversationReceiptMode,
    /// Changing roles of members.
    ModifyOtherConversationMember,
    /// Removing members.
    RemoveConversationMember,
}

/// What a role in a team can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Perm {
    /// Adding and removing members of conversations.
    AddRemoveConvMember,
    /// Adding members.
    AddTeamMember,
    /// Making conversations.
    CreateConversation,
    /// Deleting conversations.
    DeleteConversation,
    /// Deleting the team.
    DeleteTeam,
    /// Seeing the bills.
    GetBilling,
    /// Seeing what members may do.
    GetMemberPermissions,
    /// Seeing the team's conversations.
    GetTeamConversations,
    /// Renaming conversations.
    ModifyConvName,
    /// Removing members.
    RemoveTeamMember,
    /// Paying.
    SetBilling,
    /// Changing what members may do.
    SetMemberPermissions,
    /// Changing the team.
    SetTeamData,
}

/// An answer that another request would have got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JSONResponse {
    /// Its HTTP status.
    pub status: u16,
    /// Its body.
    pub value: serde_json::Value,
}
