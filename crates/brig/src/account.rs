//! An account as it is stored: one row, `user/U`.

use std::collections::BTreeSet;

use public_api::{
    email::EmailAddress,
    locale::Locale,
    user::{AccountStatus, BaseProtocolTag, ManagedBy, Name, Pict, ServiceRef, TextStatus, UserAsset, UserType},
};
use serde::{Deserialize, Serialize};
use types::{Handle, TeamId, Timestamp};

use crate::password::PasswordHash;

/// An account. Evolves by optional fields: whatever is added must have a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Display name.
    pub name: Name,
    /// Whether the account works.
    #[serde(default = "active")]
    pub status: AccountStatus,
    /// Whether its identity was verified. Until then the address is not shown and claims nothing.
    #[serde(default)]
    pub activated: bool,
    /// The unique name. It is the account's only while the claim of that name binds; this row is what makes it bind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
    /// The address in its owner's spelling, claimed by its key in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordHash>,
    /// Accent colour.
    #[serde(default)]
    pub accent_id: i32,
    /// Profile pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<UserAsset>,
    /// Pictures of an older age.
    #[serde(default)]
    pub picture: Pict,
    /// What the user says about himself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_status: Option<TextStatus>,
    /// Language of mails. Absent: the backend's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    /// Who may change name and handle.
    #[serde(default)]
    pub managed_by: ManagedBy,
    /// What the user's clients can speak.
    #[serde(default = "only_proteus")]
    pub supported_protocols: BTreeSet<BaseProtocolTag>,
    /// Whether searches show the user.
    #[serde(default = "yes")]
    pub searchable: bool,
    /// The service behind it, if it is a bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Person, app or bot.
    #[serde(default)]
    pub user_type: UserType,
    /// When a temporary guest's account ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

fn only_proteus() -> BTreeSet<BaseProtocolTag> {
    BTreeSet::from([BaseProtocolTag::Proteus])
}

fn active() -> AccountStatus {
    AccountStatus::Active
}

fn yes() -> bool {
    true
}

impl Account {
    /// An active account of that name with nothing else.
    pub fn new(name: Name, created: Timestamp) -> Self {
        Self {
            name,
            status: AccountStatus::Active,
            activated: false,
            handle: None,
            email: None,
            password: None,
            accent_id: 0,
            assets: Vec::new(),
            picture: Pict::default(),
            text_status: None,
            locale: None,
            team: None,
            managed_by: ManagedBy::Wire,
            supported_protocols: only_proteus(),
            searchable: true,
            service: None,
            user_type: UserType::Regular,
            expires_at: None,
            created,
        }
    }

    /// The status at that moment: a guest whose time has passed counts as deleted, whether or not anybody has
    /// removed him yet.
    pub fn status_at(&self, now: Timestamp) -> AccountStatus {
        match self.status {
            AccountStatus::Ephemeral if self.expires_at.is_some_and(|end| end <= now) => AccountStatus::Deleted,
            status => status,
        }
    }

    /// The verified identity, which is the only one that others may be told.
    pub fn identity(&self) -> Option<&EmailAddress> {
        self.email.as_ref().filter(|_| self.activated)
    }
}

#[cfg(test)]
impl Account {
    /// An active account of that handle with nothing else.
    pub(crate) fn test(handle: &str) -> Self {
        Self { handle: handle.parse().ok(), ..Self::new(handle.parse().unwrap(), Timestamp::EPOCH) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_row_is_still_read() {
        let row = r#"{"name":"Alice","created":"2026-01-01T00:00:00.000Z"}"#;
        let account: Account = serde_json::from_str(row).unwrap();
        assert_eq!((account.status, account.searchable, account.activated), (AccountStatus::Active, true, false));
        assert_eq!(account.supported_protocols, only_proteus());
        let again: Account = serde_json::from_str(&serde_json::to_string(&account).unwrap()).unwrap();
        assert_eq!(again, account);
    }

    #[test]
    fn a_guest_is_gone_when_his_time_has_passed() {
        let guest = Account {
            status: AccountStatus::Ephemeral,
            expires_at: Some(Timestamp::from_seconds(10)),
            ..Account::test("guest")
        };
        assert_eq!(guest.status_at(Timestamp::from_seconds(9)), AccountStatus::Ephemeral);
        assert_eq!(guest.status_at(Timestamp::from_seconds(10)), AccountStatus::Deleted);
    }
}
