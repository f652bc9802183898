//! What a conversation is, apart from its members and its protocol.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::{ConversationId, TeamId, UserId};

use super::History;
use crate::encoding::{also_writes, null_is_default};

/// What a conversation is, apart from its members and its protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct ConversationMetadata {
    /// Group, self, one-to-one or connect.
    #[serde(rename = "type")]
    pub conv_type: ConvType,
    /// Who made it; a user of the conversation's backend.
    pub creator: Option<UserId>,
    /// How people get in.
    pub access: Vec<Access>,
    /// Which people get in.
    pub access_role: BTreeSet<AccessRole>,
    /// Its name.
    pub name: Option<String>,
    /// The team that owns it, of the conversation's backend.
    pub team: Option<TeamId>,
    /// After what time messages vanish.
    pub message_timer: Option<Milliseconds>,
    /// Whether clients send receipts.
    pub receipt_mode: Option<ReceiptMode>,
    /// What kind of group it is.
    pub group_conv_type: Option<GroupConvType>,
    /// Who adds members to a channel.
    pub add_permission: Option<AddPermission>,
    /// Whether it has a file store.
    #[serde(default, deserialize_with = "null_is_default")]
    pub cells_state: CellsState,
    /// The conversation it hangs on.
    pub parent: Option<ConversationId>,
    /// What newcomers see.
    #[serde(default)]
    pub history: History,
}

// Two fields of an age when conversations counted their events.
also_writes!(ConversationMetadata {
    last_event: &'static str = |_this| "0.0",
    last_event_time: &'static str = |_this| "1970-01-01T00:00:00.000Z",
});

/// The type of a conversation; a number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum ConvType {
    /// A group.
    Regular,
    /// The one everybody has with himself.
    SelfConv,
    /// Of two users.
    One2One,
    /// Of two users who are not connected yet.
    Connect,
}

/// No conversation type has that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no type of conversation")]
pub struct ConvTypeError(pub u8);

impl From<ConvType> for u8 {
    fn from(conv_type: ConvType) -> Self {
        match conv_type {
            ConvType::Regular => 0,
            ConvType::SelfConv => 1,
            ConvType::One2One => 2,
            ConvType::Connect => 3,
        }
    }
}

impl TryFrom<u8> for ConvType {
    type Error = ConvTypeError;

    fn try_from(number: u8) -> Result<Self, ConvTypeError> {
        match number {
            0 => Ok(Self::Regular),
            1 => Ok(Self::SelfConv),
            2 => Ok(Self::One2One),
            3 => Ok(Self::Connect),
            other => Err(ConvTypeError(other)),
        }
    }
}

/// How people get into a conversation. Upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Not at all.
    Private,
    /// A member adds them.
    Invite,
    /// They know the conversation's id.
    Link,
    /// They know a code that can be changed.
    Code,
}

/// Which people get into a conversation. Upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessRole {
    /// Members of its team.
    TeamMember,
    /// Users outside of its team.
    NonTeamMember,
    /// Users without an account that lasts.
    Guest,
    /// Bots.
    Service,
}

/// What kind of group a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GroupConvType {
    /// A channel of a team.
    #[serde(rename = "channel")]
    Channel,
    /// An ordinary group.
    #[serde(rename = "group_conversation")]
    GroupConversation,
    /// What a meeting takes place in.
    #[serde(rename = "meeting")]
    MeetingConversation,
}

/// Who adds members to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddPermission {
    /// Its admins.
    Admins,
    /// Every member.
    Everyone,
}

/// Whether a conversation has a file store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellsState {
    /// It has none.
    #[default]
    Disabled,
    /// It is being made.
    Pending,
    /// It has one.
    Ready,
}

/// Whether clients send receipts: a number that only clients understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceiptMode(pub i32);

/// A length of time in milliseconds. Negative ones are read as zero, and what does not fit 63 bits is written as the
/// most that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Milliseconds(pub u64);

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(u64::try_from(i64::deserialize(deserializer)?).unwrap_or(0)))
    }
}
