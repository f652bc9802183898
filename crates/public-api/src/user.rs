//! Accounts: what a user sees of his own, and what is needed to make one (`brig.md` §2–4).

use std::collections::BTreeSet;

use federation_api::UserProfile;
pub use federation_api::user::{
    AppInfo, AssetSize, BaseProtocolTag, Name, Pict, ServiceRef, TextStatus, UserAsset, UserLegalHoldStatus, UserType,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use types::{Handle, Qualified, TeamId, Timestamp, UserId};
use uuid::Uuid;

use crate::{
    Shape, Version,
    email::EmailAddress,
    limits,
    locale::Locale,
    schema::enumeration,
    shape::{encode, shape},
    text::{CookieLabel, PlainTextPassword8, Secret, TeamName},
};

shape! {
    /// A user as he sees himself, and as other components see him. The unqualified `id` and, for a deleted account,
    /// `deleted` are written as well.
    #[serde(remote = "Self")]
    pub struct User {
        /// Who it is.
        pub qualified_id: Qualified<UserId>,
        /// Person, app or bot.
        pub r#type: UserType,
        /// Verified e-mail address.
        pub email?: EmailAddress,
        /// Who the identity provider says it is.
        pub sso_id?: UserSSOId,
        /// An address that waits for its activation.
        pub email_unvalidated?: EmailAddress,
        /// Display name.
        pub name: Name,
        /// What the user says about himself.
        pub text_status?: TextStatus,
        /// Pictures of an age before `assets`.
        pub picture: Pict = default,
        /// Profile pictures.
        pub assets: Vec<UserAsset> = default,
        /// Accent colour, an index into the clients' palette.
        pub accent_id: i32,
        /// The state of the account.
        pub status: AccountStatus,
        /// The language of mails.
        pub locale: Locale,
        /// The service behind it, if it is a bot.
        pub service?: ServiceRef,
        /// Unique name.
        pub handle?: Handle,
        /// When the account of a temporary guest ends.
        pub expires_at?: Timestamp,
        /// The team.
        pub team?: TeamId,
        /// Who may change the profile.
        pub managed_by: ManagedBy = default,
        /// What the user's clients can speak.
        pub supported_protocols: BTreeSet<BaseProtocolTag> = "only_proteus",
        /// Whether searches show the user.
        pub searchable: bool = "yes",
    }
}

impl Shape for User {}

fn only_proteus() -> BTreeSet<BaseProtocolTag> {
    BTreeSet::from([BaseProtocolTag::Proteus])
}

fn yes() -> bool {
    true
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Rest<'a>(&'a User);

        impl Serialize for Rest<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                User::serialize(self.0, serializer)
            }
        }

        #[derive(Serialize)]
        struct Whole<'a> {
            id: UserId,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            deleted: bool,
            #[serde(flatten)]
            rest: Rest<'a>,
        }

        let deleted = self.status == AccountStatus::Deleted;
        Whole { id: self.qualified_id.id, deleted, rest: Rest(self) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        User::deserialize(deserializer)
    }
}

/// The own profile. The same as [`User`], under the name that the client API gives it.
pub type SelfProfile = User;

enumeration! {
    /// The state of an account.
    pub enum AccountStatus {
        /// In use.
        Active = "active",
        /// Gone for ever.
        Deleted = "deleted",
        /// A temporary guest.
        Ephemeral = "ephemeral",
        /// Made by SCIM; the person has not registered yet.
        PendingInvitation = "pending-invitation",
        /// Locked by an operator, its team, or for inactivity.
        Suspended = "suspended",
    }
}

enumeration! {
    /// Who may change a profile.
    #[derive(Default)]
    pub enum ManagedBy {
        /// The team's directory, by SCIM.
        Scim = "scim",
        /// The user, by his clients.
        #[default]
        Wire = "wire",
    }
}

/// Who an identity provider or a directory says a user is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum UserSSOId {
    /// By SCIM alone.
    ScimExternalId {
        /// The directory's id.
        scim_external_id: String,
    },
    /// By SAML.
    Saml {
        /// The identity provider: its `Issuer`, as XML.
        tenant: String,
        /// The user: its `NameID`, as XML.
        subject: String,
    },
}

shape! {
    /// What is needed to make an account.
    #[serde(remote = "Self")]
    pub struct NewUser {
        /// Display name.
        pub name: Name,
        /// The id that it shall have; for other components only.
        pub uuid?: Uuid,
        /// E-mail address.
        pub email?: EmailAddress,
        /// Who the identity provider says it is; for other components only.
        pub sso_id?: UserSSOId,
        /// Pictures of an age before `assets`.
        pub picture?: Pict,
        /// Profile pictures.
        pub assets: Vec<UserAsset> = default,
        /// Accent colour.
        pub accent_id?: i32,
        /// A code that was sent to the address before; it proves the address at once.
        pub email_code?: Secret,
        /// An invitation into a team.
        pub invitation_code?: Secret,
        /// The same under its newer name.
        pub team_code?: Secret,
        /// A team to be made with it.
        pub team?: BindingNewTeamUser,
        /// The team of a user whom an identity provider knows.
        pub team_id?: TeamId,
        /// Label of the cookie.
        pub label?: CookieLabel,
        /// The language of mails.
        pub locale?: Locale,
        /// Password.
        pub password?: PlainTextPassword8,
        /// How long the account of a temporary guest shall live, in seconds.
        pub expires_in?: ExpiresIn,
        /// Who may change the profile.
        pub managed_by?: ManagedBy,
        /// What the user's clients can speak.
        pub supported_protocols?: BTreeSet<BaseProtocolTag>,
    }
}

impl Shape for NewUser {}

impl NewUser {
    /// Whether it has what ties an account to a person: an address, an identity provider, a directory.
    pub fn has_identity(&self) -> bool {
        self.email.is_some() || self.sso_id.is_some()
    }

    /// The rules between fields.
    fn checked(self) -> Result<Self, &'static str> {
        let ways = [
            self.invitation_code.is_some(),
            self.team_code.is_some(),
            self.team.is_some(),
            self.sso_id.is_some() || self.team_id.is_some(),
        ];
        if self.sso_id.is_some() != self.team_id.is_some() {
            return Err("sso_id, team_id must be either both present or both absent.");
        }
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(
                "team_code, team, invitation_code, sso_id, and the pair (sso_id, team_id) are mutually exclusive",
            );
        }
        if (self.team_code.is_some() || self.team.is_some()) && self.password.is_none() {
            return Err("all team users must set a password on creation");
        }
        if self.expires_in.is_some() && self.has_identity() {
            return Err("Only users without an identity can expire");
        }
        Ok(self)
    }
}

impl Serialize for NewUser {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        NewUser::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for NewUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NewUser::deserialize(deserializer)?.checked().map_err(D::Error::custom)
    }
}

shape! {
    /// A team to be made together with its first user.
    pub struct BindingNewTeamUser {
        /// Its name.
        pub name: TeamName,
        /// Its picture: the key of an asset, or `default`.
        pub icon: String,
        /// The key that decrypts the picture.
        pub icon_key?: String,
        /// The currency of its bills (ISO 4217).
        pub currency?: String,
    }
}

/// The life of a temporary guest's account in seconds: from one second to a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct ExpiresIn(u32);

impl ExpiresIn {
    /// A week.
    pub const MAX: i64 = 604_800;

    /// Seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for ExpiresIn {
    type Error = crate::text::RangeError;

    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        let within = (1..=Self::MAX).contains(&seconds);
        let seconds = u32::try_from(seconds).ok().filter(|_| within);
        seconds.map(Self).ok_or(crate::text::RangeError { min: 1, max: Self::MAX as usize })
    }
}

shape! {
    /// The handle that a user wishes to have. Whether it is one is decided later, so that the error can be its own.
    pub struct HandleUpdate {
        /// The handle.
        pub handle: String,
    }
}

impl Shape for HandleUpdate {}

shape! {
    /// What proves an e-mail address.
    pub struct GetActivationCodeResp {
        /// Which address it is for.
        pub key: String,
        /// The code.
        pub code: String,
    }
}

impl Shape for GetActivationCodeResp {}

/// Whose profiles are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawListUsersQuery")]
pub enum ListUsersQuery {
    /// Those with these handles: one to four.
    #[serde(rename = "qualified_handles")]
    ByHandles(Vec<Qualified<Handle>>),
    /// Those with these ids.
    #[serde(rename = "qualified_ids")]
    ByIds(Vec<Qualified<UserId>>),
}

impl Shape for ListUsersQuery {}

#[derive(Deserialize)]
struct RawListUsersQuery {
    #[serde(default)]
    qualified_ids: Option<Vec<Qualified<UserId>>>,
    #[serde(default)]
    qualified_handles: Option<Vec<Qualified<Handle>>>,
}

impl TryFrom<RawListUsersQuery> for ListUsersQuery {
    type Error = String;

    fn try_from(raw: RawListUsersQuery) -> Result<Self, String> {
        match (raw.qualified_ids, raw.qualified_handles) {
            (Some(ids), None) => Ok(Self::ByIds(ids)),
            (None, Some(handles)) => {
                let most = limits::LIST_USERS_HANDLES;
                match (1..=most).contains(&handles.len()) {
                    true => Ok(Self::ByHandles(handles)),
                    false => Err(format!("outside range [1, {most}]")),
                }
            }
            _ => Err("exactly one of qualified_ids or qualified_handles must be provided.".to_owned()),
        }
    }
}

shape! {
    /// The profiles that were found, and whose backends could not be reached.
    pub struct ListUsersById {
        /// The profiles.
        pub found: Vec<UserProfile>,
        /// Users of backends that could not be reached; absent rather than empty.
        pub failed?: Vec<Qualified<UserId>>,
    }
}

impl Shape for ListUsersById {
    /// Before version 4 the answer was the bare list of those found.
    fn to_json(&self, version: Version) -> Vec<u8> {
        if version < Version(4) { encode(&self.found) } else { encode(self) }
    }
}

impl Shape for UserProfile {}

impl Shape for crate::Unit {}
