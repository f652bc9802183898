//! MLS (RFC 9420) as far as backends talk about it. What clients wrote stays bytes.

mod group;
mod key_package;
mod message;
mod subconversation;
mod suite;

pub use group::{ClientIdentity, ConvOrSubConvId, Epoch, GroupId, SubConvId, SubConvIdError};
pub use key_package::{ClaimKeyPackageRequest, KeyPackageBundle, KeyPackageBundleEntry};
pub use message::{
    EnableOutOfSyncCheck, GetGroupInfoRequest, GetGroupInfoResponse, GroupInfoDiagnostics, IndexedClient,
    MLSMessageResponse, MLSMessageSendRequest, MLSOutOfSyncError, MLSReset, MLSWelcomeRequest, MLSWelcomeResponse,
};
pub use subconversation::{
    DeleteSubConversationFedRequest, DeleteSubConversationResponse, GetSubConversationsRequest,
    GetSubConversationsResponse, LeaveSubConversationRequest, LeaveSubConversationResponse, PublicSubConversation,
};
pub use suite::{CipherSuite, CipherSuiteTag, MLSKeysByPurpose, MLSPublicKeys, SignatureSchemeTag, UnknownCipherSuite};
