//! Changes of a conversation (`federation.md` §6.8).

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use types::{Qualified, UserId};

use super::{Access, AccessRole, AddPermission, History, Milliseconds, ProtocolTag, ReceiptMode, RoleName};
use crate::{encoding::null_is_default, list::NonEmpty, mls::MLSReset};

/// A change of a conversation: `{"tag": …, "action": …}`, both always present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "tag", content = "action")]
pub enum SomeConversationAction {
    /// Who gets in changes.
    #[serde(rename = "ConversationAccessDataTag")]
    AccessData(ConversationAccessData),
    /// It is deleted.
    #[serde(rename = "ConversationDeleteTag")]
    Delete {},
    /// What newcomers see changes.
    #[serde(rename = "ConversationHistoryUpdateTag")]
    HistoryUpdate(History),
    /// Users join.
    #[serde(rename = "ConversationJoinTag")]
    Join(ConversationJoin),
    /// The acting user leaves.
    #[serde(rename = "ConversationLeaveTag")]
    Leave {},
    /// A member's role changes.
    #[serde(rename = "ConversationMemberUpdateTag")]
    MemberUpdate(ConversationMemberUpdate),
    /// After what time messages vanish changes.
    #[serde(rename = "ConversationMessageTimerUpdateTag")]
    MessageTimerUpdate(ConversationMessageTimerUpdate),
    /// Whether clients send receipts changes.
    #[serde(rename = "ConversationReceiptModeUpdateTag")]
    ReceiptModeUpdate(ConversationReceiptModeUpdate),
    /// Members are removed.
    #[serde(rename = "ConversationRemoveMembersTag")]
    RemoveMembers(ConversationRemoveMembers),
    /// It gets another name.
    #[serde(rename = "ConversationRenameTag")]
    Rename(ConversationRename),
    /// Its MLS group begins anew.
    #[serde(rename = "ConversationResetTag")]
    Reset(MLSReset),
    /// Who adds members changes.
    #[serde(rename = "ConversationUpdateAddPermissionTag")]
    UpdateAddPermission(AddPermissionUpdate),
    /// Its protocol changes.
    #[serde(rename = "ConversationUpdateProtocolTag")]
    UpdateProtocol(ProtocolTag),
}

impl Serialize for SomeConversationAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SomeConversationAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Derived code takes an absent `action` for `null`, where that is allowed.
        #[derive(Deserialize)]
        struct Both {
            tag: Value,
            action: Value,
        }

        let Both { tag, action } = Both::deserialize(deserializer)?;
        let both = Value::Object([("tag".to_owned(), tag), ("action".to_owned(), action)].into_iter().collect());
        Self::deserialize(both).map_err(serde::de::Error::custom)
    }
}

/// Who gets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationAccessData {
    /// How people get in.
    pub access: BTreeSet<Access>,
    /// Which people get in.
    pub access_role: BTreeSet<AccessRole>,
}

/// Users who join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationJoin {
    /// Who.
    pub users: NonEmpty<Qualified<UserId>>,
    /// As what.
    pub role: RoleName,
    /// By which way.
    #[serde(default, deserialize_with = "null_is_default")]
    pub join_type: JoinType,
}

/// By which way users join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinType {
    /// By themselves, with a commit from outside the group.
    ExternalAdd,
    /// A member added them.
    #[default]
    InternalAdd,
}

/// A member's role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationMemberUpdate {
    /// Whose.
    pub target: Qualified<UserId>,
    /// What of him.
    pub update: OtherMemberUpdate,
}

/// What others can change of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherMemberUpdate {
    /// His new role.
    pub conversation_role: RoleName,
}

/// Members who are removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationRemoveMembers {
    /// Who.
    pub targets: NonEmpty<Qualified<UserId>>,
    /// Why.
    pub reason: EdMemberLeftReason,
}

/// Why somebody is no member any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EdMemberLeftReason {
    /// He left.
    #[serde(rename = "left")]
    Left,
    /// Another member removed him.
    #[serde(rename = "removed")]
    Removed,
    /// He is gone, or no longer in the team.
    #[serde(rename = "user-deleted")]
    UserDeleted,
}

/// Another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationRename {
    /// The name.
    pub name: String,
}

/// After what time messages vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationMessageTimerUpdate {
    /// The time; `None` is never.
    pub message_timer: Option<Milliseconds>,
}

/// Whether clients send receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationReceiptModeUpdate {
    /// The mode.
    pub receipt_mode: ReceiptMode,
}

/// Who adds members to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddPermissionUpdate {
    /// Who.
    pub add_permission: AddPermission,
}
