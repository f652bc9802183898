//! Members of a conversation.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use types::{Qualified, UserId};

use crate::{
    encoding::{also_writes, null_is_default},
    user::ServiceRef,
};

/// A member as the others see him.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct OtherMember {
    /// Who it is. Written once more, unqualified, as `id`.
    pub qualified_id: Qualified<UserId>,
    /// The service behind it, if it is a bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// What he may do; from a time before roles everybody is an admin.
    #[serde(default, deserialize_with = "null_is_default")]
    pub conversation_role: RoleName,
}

also_writes!(OtherMember { id: UserId = |this| this.qualified_id.id, status: u8 = |_this| 0 });

impl Ord for OtherMember {
    /// Lists of members have one order on every backend: by id first, not by domain.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.qualified_id.id.cmp(&other.qualified_id.id))
            .then_with(|| self.qualified_id.domain.cmp(&other.qualified_id.domain))
            .then_with(|| self.conversation_role.cmp(&other.conversation_role))
            .then_with(|| self.service.cmp(&other.service))
    }
}

impl PartialOrd for OtherMember {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The name of a role in a conversation. Names with `wire_` in front are the two that exist; others have no rights
/// here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleName(pub String);

impl RoleName {
    /// The name of the role that may do everything.
    pub const WIRE_ADMIN: &str = "wire_admin";
    /// The name of the role that may do what everybody may.
    pub const WIRE_MEMBER: &str = "wire_member";

    /// The role that may do everything.
    pub fn wire_admin() -> Self {
        Self(Self::WIRE_ADMIN.to_owned())
    }

    /// The role that may do what everybody may.
    pub fn wire_member() -> Self {
        Self(Self::WIRE_MEMBER.to_owned())
    }
}

impl Default for RoleName {
    fn default() -> Self {
        Self::wire_admin()
    }
}
