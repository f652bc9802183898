//! What a conversation's messages are encrypted with.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use types::Timestamp;

use crate::mls::{CipherSuiteTag, Epoch, GroupId};

/// A protocol's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolTag {
    /// On the way from Proteus to MLS.
    Mixed,
    /// MLS.
    Mls,
    /// Proteus.
    #[default]
    Proteus,
}

/// A conversation's protocol and what belongs to it, in the present form. Where nothing is said, Proteus is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "protocol", rename_all = "lowercase")]
pub enum Protocol {
    /// On the way from Proteus to MLS.
    Mixed(ConversationMLSData),
    /// MLS.
    Mls(ConversationMLSData),
    /// Proteus.
    Proteus,
}

impl Protocol {
    /// The protocol's name.
    pub const fn tag(&self) -> ProtocolTag {
        match self {
            Self::Mixed(_) => ProtocolTag::Mixed,
            Self::Mls(_) => ProtocolTag::Mls,
            Self::Proteus => ProtocolTag::Proteus,
        }
    }

    /// The group, if there is one.
    pub const fn mls(&self) -> Option<&ConversationMLSData> {
        match self {
            Self::Mixed(data) | Self::Mls(data) => Some(data),
            Self::Proteus => None,
        }
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Tagged {
            #[serde(default)]
            protocol: Option<ProtocolTag>,
            #[serde(flatten)]
            rest: Map<String, Value>,
        }

        let Tagged { protocol, rest } = Tagged::deserialize(deserializer)?;
        let data = || serde_json::from_value(Value::Object(rest)).map_err(serde::de::Error::custom);
        Ok(match protocol.unwrap_or_default() {
            ProtocolTag::Mixed => Self::Mixed(data()?),
            ProtocolTag::Mls => Self::Mls(data()?),
            ProtocolTag::Proteus => Self::Proteus,
        })
    }
}

/// A conversation's protocol in the form that peers before version 2 read: `epoch_timestamp` and `cipher_suite` are
/// always there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ProtocolV5(pub Protocol);

impl Serialize for ProtocolV5 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Old<'a> {
            protocol: ProtocolTag,
            #[serde(flatten)]
            mls: Option<OldMls<'a>>,
        }

        #[derive(Serialize)]
        struct OldMls<'a> {
            group_id: &'a GroupId,
            epoch: Epoch,
            #[serde(with = "crate::encoding::utc_time::option")]
            epoch_timestamp: Option<Timestamp>,
            cipher_suite: CipherSuiteTag,
        }

        let mls = self.0.mls().map(|data| OldMls {
            group_id: &data.group_id,
            epoch: data.epoch(),
            epoch_timestamp: data.active_data.map(|active| active.epoch_timestamp),
            cipher_suite: data.active_data.map(|active| active.cipher_suite).unwrap_or_default(),
        });
        Old { protocol: self.0.tag(), mls }.serialize(serializer)
    }
}

/// What belongs to a conversation with a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationMLSData {
    /// The group.
    pub group_id: GroupId,
    /// The group's state, once it has seen a commit.
    #[serde(flatten, with = "active_data")]
    pub active_data: Option<ActiveMLSConversationData>,
}

impl ConversationMLSData {
    /// The group's epoch.
    pub fn epoch(&self) -> Epoch {
        self.active_data.map_or(Epoch(0), |active| active.epoch)
    }
}

/// The state of a group that has seen a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveMLSConversationData {
    /// How many; not 0.
    pub epoch: Epoch,
    /// When the last one.
    #[serde(with = "crate::encoding::utc_time")]
    pub epoch_timestamp: Timestamp,
    /// What the group is encrypted with.
    pub cipher_suite: CipherSuiteTag,
}

/// The state of a group as fields of what it belongs to: `epoch` always, the others unless it is 0. A group whose
/// epoch is known but not the rest counts as one that has seen no commit.
pub(crate) mod active_data {
    use super::{
        ActiveMLSConversationData, CipherSuiteTag, Deserialize, Deserializer, Epoch, Serialize, Serializer, Timestamp,
    };

    #[derive(Serialize, Deserialize)]
    struct Fields {
        epoch: Epoch,
        #[serde(default, with = "crate::encoding::utc_time::option", skip_serializing_if = "Option::is_none")]
        epoch_timestamp: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cipher_suite: Option<CipherSuiteTag>,
    }

    pub(crate) fn serialize<S: Serializer>(
        active: &Option<ActiveMLSConversationData>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let fields = Fields {
            epoch: active.map_or(Epoch(0), |active| active.epoch),
            epoch_timestamp: active.map(|active| active.epoch_timestamp),
            cipher_suite: active.map(|active| active.cipher_suite),
        };
        fields.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ActiveMLSConversationData>, D::Error> {
        let Fields { epoch, epoch_timestamp, cipher_suite } = Fields::deserialize(deserializer)?;
        Ok(match (epoch, epoch_timestamp, cipher_suite) {
            (Epoch(1..), Some(epoch_timestamp), Some(cipher_suite)) => {
                Some(ActiveMLSConversationData { epoch, epoch_timestamp, cipher_suite })
            }
            _ => None,
        })
    }
}
