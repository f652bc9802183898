//! Conversations: what they are, who is in them, and how they change.

mod action;
mod history;
mod member;
mod metadata;
mod one2one;
mod protocol;
mod remote;
mod update;

pub use action::{
    AddPermissionUpdate, ConversationAccessData, ConversationJoin, ConversationMemberUpdate,
    ConversationMessageTimerUpdate, ConversationReceiptModeUpdate, ConversationRemoveMembers, ConversationRename,
    EdMemberLeftReason, JoinType, OtherMemberUpdate, SomeConversationAction,
};
pub use history::{History, HistoryDuration, HistoryDurationError, HistorySharingConfig};
pub use member::{OtherMember, RoleName};
pub use metadata::{
    Access, AccessRole, AddPermission, CellsState, ConvType, ConvTypeError, ConversationMetadata, GroupConvType,
    Milliseconds, ReceiptMode,
};
pub use one2one::{
    GetOne2OneConversationRequest, GetOne2OneConversationResponse, GetOne2OneConversationResponseV2,
    RemoteMLSOne2OneConversation, one2one_conversation_id,
};
pub(crate) use protocol::active_data;
pub use protocol::{ActiveMLSConversationData, ConversationMLSData, Protocol, ProtocolTag, ProtocolV5};
pub use remote::{
    ConversationCreated, GetConversationsRequest, GetConversationsResponse, GetConversationsResponseV2,
    LeaveConversationRequest, LeaveConversationResponse, RemoteConvMembers, RemoteConversation, RemoteConversationV2,
    RemoveFromConversationError,
};
pub use update::{
    ClientRemovedRequest, ConversationUpdate, ConversationUpdateRequest, ConversationUpdateResponse,
    ConversationUpdateV0, ExtraConversationData, UserDeletedConversationsNotification,
};
