//! Errors inside answers.

use proptest::prelude::*;

use super::*;

pub fn galley_error() -> Grammar {
    sum([
        GALLEY_ERRORS.iter().map(|name| (*name, None)).collect::<Vec<_>>(),
        vec![("ActionDenied", Some(one_of(&ACTIONS))), ("MissingPermission", Some(or_null(one_of(&PERMISSIONS))))],
    ]
    .concat())
}

pub const ACTIONS: [&str; 10] = [
    "add_conversation_member",
    "remove_conversation_member",
    "modify_conversation_name",
    "modify_conversation_message_timer",
    "modify_conversation_receipt_mode",
    "modify_conversation_access",
    "modify_other_conversation_member",
    "leave_conversation",
    "delete_conversation",
    "modify_add_permission",
];

pub const PERMISSIONS: [&str; 13] = [
    "CreateConversation",
    "DeleteConversation",
    "AddTeamMember",
    "RemoveTeamMember",
    "AddRemoveConvMember",
    "ModifyConvName",
    "GetBilling",
    "SetBilling",
    "SetTeamData",
    "GetMemberPermissions",
    "SetMemberPermissions",
    "GetTeamConversations",
    "DeleteTeam",
];

#[rustfmt::skip]
pub const GALLEY_ERRORS: &[&str] = &[
    "AccessDenied", "BroadcastLimitExceeded", "BulkGetMemberLimitExceeded",
    "CannotEnableLegalHoldServiceLargeTeam", "ChannelsNotEnabled", "CodeNotFound", "ConvAccessDenied",
    "ConvInvalidProtocolTransition", "ConvMemberNotFound", "ConvNotFound", "CreateConversationCodeConflict",
    "CustomBackendNotFound", "DeleteQueueFull", "GroupIdVersionNotSupported", "GuestLinksDisabled",
    "HistoryNotSupported", "InvalidAction", "InvalidConversationPassword", "InvalidOperation",
    "InvalidPermissions", "InvalidTarget", "InvalidTargetAccess", "InvalidTeamNotificationId",
    "InvalidTeamStatusUpdate", "LegalHoldCouldNotBlockConnections", "LegalHoldDisableUnimplemented",
    "LegalHoldNotEnabled", "LegalHoldServiceBadResponse", "LegalHoldServiceInvalidKey",
    "LegalHoldServiceNotRegistered", "MLSClientMismatch", "MLSClientSenderUserMismatch",
    "MLSCommitMissingReferences", "MLSDuplicatePublicKey", "MLSFederatedOne2OneNotSupported",
    "MLSFederatedResetNotSupported", "MLSGroupConversationMismatch", "MLSIdentityMismatch",
    "MLSInvalidLeafNodeIndex", "MLSInvalidLeafNodeSignature", "MLSLegalholdIncompatible",
    "MLSMigrationCriteriaNotSatisfied", "MLSMissingGroupInfo", "MLSNonEmptyMemberList", "MLSNotEnabled",
    "MLSProposalNotFound", "MLSProtocolErrorTag", "MLSReadReceiptsNotAllowed", "MLSSelfRemovalNotAllowed",
    "MLSStaleMessage", "MLSSubConvClientNotInParent", "MLSSubConvUnsupportedConvType",
    "MLSUnexpectedSenderClient", "MLSUnsupportedMessage", "MLSUnsupportedProposal", "MLSWelcomeMismatch",
    "MeetingNotFound", "MissingLegalholdConsent", "MissingLegalholdConsentOldClients", "NoAddToBinding",
    "NoBindingTeam", "NoBindingTeamMembers", "NoLegalHoldDeviceAllocated", "NoUserLegalHoldConsent",
    "NonBindingTeam", "NotAOneMemberTeam", "NotATeamMember", "NotAnMlsConversation", "NotConnected",
    "TeamMemberNotFound", "TeamNotFound", "TeamSearchVisibilityNotEnabled", "TooManyMembers",
    "TooManyTeamAdmins", "TooManyTeamMembers", "TooManyTeamMembersOnTeamWithLegalhold", "UserBindingExists",
    "UserLegalHoldAlreadyEnabled", "UserLegalHoldIllegalOperation", "UserLegalHoldNotPending",
];

pub fn non_federating() -> Grammar {
    rec(vec![req("non_federating_backends", list(domain(), 2..3))])
}

pub fn unreachable_backends() -> Grammar {
    rec(vec![req("unreachable_backends", list(domain(), 0..3))])
}

pub fn json_response() -> Grammar {
    let body = super::junk().prop_map(Doc::same).boxed();
    rec(vec![req("status", number::<u16>()), req("value", body)])
}

pub fn shapes() -> Vec<(&'static str, Grammar)> {
    vec![
        ("Action", one_of(&ACTIONS)),
        ("GalleyError", galley_error()),
        ("JSONResponse", json_response()),
        ("NonFederatingBackends", non_federating()),
        ("Perm", one_of(&PERMISSIONS)),
        ("UnreachableBackends", unreachable_backends()),
    ]
}
