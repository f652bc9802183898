//! Groups, their epochs, and the conversations they belong to.

use serde::{Deserialize, Serialize};
use types::{ClientId, ConversationId, Domain, UserId};

use crate::Base64ByteString;

/// The id of an MLS group, opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub Base64ByteString);

/// How many commits a group has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// The name of a subconversation within its conversation: 1 to 255 printable ASCII characters but blanks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SubConvId(String);

impl SubConvId {
    /// Most characters.
    pub const MAX_LEN: usize = 255;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is empty, too long, or has a character that is blank or not ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subconversation id consists of 1 to 255 printable ASCII characters other than blanks")]
pub struct SubConvIdError;

impl TryFrom<String> for SubConvId {
    type Error = SubConvIdError;

    fn try_from(text: String) -> Result<Self, SubConvIdError> {
        if (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(SubConvIdError)
        }
    }
}

impl std::str::FromStr for SubConvId {
    type Err = SubConvIdError;

    fn from_str(text: &str) -> Result<Self, SubConvIdError> {
        text.to_owned().try_into()
    }
}

/// A conversation or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "tag", content = "value", rename_all = "lowercase")]
pub enum ConvOrSubConvId {
    /// The whole.
    Conv {
        /// The conversation.
        conv_id: ConversationId,
    },
    /// A part, such as a call.
    SubConv {
        /// The conversation.
        conv_id: ConversationId,
        /// The part.
        subconv_id: SubConvId,
    },
}

impl ConvOrSubConvId {
    /// The conversation.
    pub const fn conversation(&self) -> ConversationId {
        match self {
            Self::Conv { conv_id } | Self::SubConv { conv_id, .. } => *conv_id,
        }
    }

    /// The part, if it is one.
    pub const fn subconversation(&self) -> Option<&SubConvId> {
        match self {
            Self::Conv { .. } => None,
            Self::SubConv { subconv_id, .. } => Some(subconv_id),
        }
    }
}

/// A client as MLS knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientIdentity {
    /// The user's backend.
    pub domain: Domain,
    /// The user.
    pub user_id: UserId,
    /// The client.
    pub client_id: ClientId,
}
