//! What a backend tells others about its users.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::{AssetKey, Handle, ProviderId, Qualified, ServiceId, TeamId, Timestamp, UserId};

use crate::encoding::{also_writes, junk_is_default, null_is_default, null_is_true, ranged_text, yes};

/// A user as others see him.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct UserProfile {
    /// Who it is. Written once more, unqualified, as `id`.
    pub qualified_id: Qualified<UserId>,
    /// Display name.
    pub name: Name,
    /// What the user says about himself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_status: Option<TextStatus>,
    /// Pictures of an age before [`UserProfile::assets`]. Clients want the field, nobody wants its content.
    #[serde(default, deserialize_with = "junk_is_default")]
    pub picture: Pict,
    /// Profile pictures.
    #[serde(default, deserialize_with = "junk_is_default")]
    pub assets: Vec<UserAsset>,
    /// Accent colour, an index into the clients' palette.
    pub accent_id: i32,
    /// The account is gone; the rest is what remains to be shown in old conversations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The service behind it, if it is a bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Unique name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
    /// When the account of a temporary guest ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    /// E-mail address; never told to another backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether others read along.
    pub legalhold_status: UserLegalHoldStatus,
    /// What the user's clients can speak; a backend that does not say so means Proteus.
    #[serde(default = "only_proteus", deserialize_with = "supported_protocols")]
    pub supported_protocols: BTreeSet<BaseProtocolTag>,
    /// Person, app or bot.
    #[serde(default, rename = "type", deserialize_with = "null_is_default")]
    pub user_type: UserType,
    /// Described if it is an app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppInfo>,
    /// Whether searches show the user.
    #[serde(default = "yes", deserialize_with = "null_is_true")]
    pub searchable: bool,
}

also_writes!(UserProfile { id: UserId = |this| this.qualified_id.id });

fn only_proteus() -> BTreeSet<BaseProtocolTag> {
    BTreeSet::from([BaseProtocolTag::Proteus])
}

fn supported_protocols<'de, D>(deserializer: D) -> Result<BTreeSet<BaseProtocolTag>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(only_proteus))
}

ranged_text! {
    /// A display name.
    Name 1..=128
}

ranged_text! {
    /// What a user says about himself in one line.
    TextStatus 1..=256
}

/// Old pictures: at most ten objects that nobody looks into.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<serde_json::Map<String, serde_json::Value>>")]
pub struct Pict(Vec<serde_json::Map<String, serde_json::Value>>);

impl Pict {
    /// Most objects.
    pub const MAX_LEN: usize = 10;
}

impl TryFrom<Vec<serde_json::Map<String, serde_json::Value>>> for Pict {
    type Error = crate::LengthError;

    fn try_from(objects: Vec<serde_json::Map<String, serde_json::Value>>) -> Result<Self, crate::LengthError> {
        crate::LengthError::check(objects.len(), 0, Self::MAX_LEN)?;
        Ok(Self(objects))
    }
}

/// A profile picture. (Upstream calls this type `Asset`, a name that its assets in the store bear too.)
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserAsset {
    /// An image.
    Image {
        /// Where it is kept, at the user's backend.
        key: AssetKey,
        /// Which of the two sizes it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<AssetSize>,
    },
}

/// The size of a profile picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetSize {
    /// The whole picture.
    Complete,
    /// A small one for lists.
    Preview,
}

/// A service (bot kind) of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceRef {
    /// The service.
    pub id: ServiceId,
    /// Who offers it.
    pub provider: ProviderId,
}

/// Whether a user is under legal hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserLegalHoldStatus {
    /// The user has consented, nobody has asked for a device.
    Disabled,
    /// A legal hold device reads along.
    Enabled,
    /// The user has not consented.
    #[default]
    NoConsent,
    /// A device has been asked for and waits for the user's word.
    Pending,
}

/// A protocol that a client can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseProtocolTag {
    /// Proteus.
    Proteus,
    /// MLS (RFC 9420).
    Mls,
}

/// What stands behind an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserType {
    /// A program that belongs to a team.
    App,
    /// A service in one conversation.
    Bot,
    /// A person.
    #[default]
    Regular,
}

/// What an app says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppInfo {
    /// Free word of a list that clients keep; `other` in doubt.
    pub category: String,
    /// For its users.
    pub description: AppDescription,
}

ranged_text! {
    /// An app's description.
    AppDescription 0..=300
}
