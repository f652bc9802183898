//! Typing indicators.

use serde::{Deserialize, Serialize};
use types::{ConversationId, Qualified, Timestamp, UserId};

use crate::{GalleyError, encoding::utc_time, sum::sum};

/// Whether a user types: `{"status": …}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum TypingStatus {
    /// He began.
    Started,
    /// He stopped.
    Stopped,
}

/// A user of the origin types in a conversation of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypingDataUpdateRequest {
    /// Whether he types.
    pub typing_status: TypingStatus,
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub conv_id: ConversationId,
}

sum! {
    /// What became of it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum TypingDataUpdateResponse {
        /// Refused.
        Error(GalleyError) = "TypingDataUpdateError",
        /// Passed on; the caller tells his own users, who are named in it.
        Success(TypingDataUpdated) = "TypingDataUpdateSuccess",
    }
}

/// Somebody types in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypingDataUpdated {
    /// When.
    #[serde(with = "utc_time")]
    pub time: Timestamp,
    /// Who, of whatever backend.
    pub orig_user_id: Qualified<UserId>,
    /// Where; a conversation of the sender.
    pub conv_id: ConversationId,
    /// Who of the receiver is to see it.
    pub users_in_conv: Vec<UserId>,
    /// Whether he types.
    pub typing_status: TypingStatus,
}
