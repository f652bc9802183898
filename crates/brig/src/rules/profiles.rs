//! What a user sees of himself and what others see of him (`brig.md` §3).

use public_api::{
    UserProfile,
    locale::Locale,
    user::{AccountStatus, Name, Pict, SelfProfile, UserLegalHoldStatus},
};
use types::{Domain, Qualified, Timestamp, UserId};

use crate::account::Account;

/// The name of a deleted user.
fn nobody() -> Name {
    "default".parse().expect("the name has between 1 and 128 characters")
}

/// The own profile.
pub fn own(id: UserId, account: &Account, domain: &Domain, default_locale: Locale, now: Timestamp) -> SelfProfile {
    let status = account.status_at(now);
    let gone = status == AccountStatus::Deleted;
    let account = if gone { &remains(account) } else { account };
    SelfProfile {
        qualified_id: Qualified::new(id, domain.clone()),
        r#type: account.user_type,
        email: account.identity().cloned(),
        sso_id: None,
        email_unvalidated: None,
        name: account.name.clone(),
        text_status: account.text_status.clone(),
        picture: account.picture.clone(),
        assets: account.assets.clone(),
        accent_id: account.accent_id,
        status,
        locale: account.locale.unwrap_or(default_locale),
        service: account.service,
        handle: account.handle.clone(),
        expires_at: account.expires_at,
        team: account.team,
        managed_by: account.managed_by,
        supported_protocols: account.supported_protocols.clone(),
        searchable: account.searchable,
    }
}

/// The profile that others see, at this backend and elsewhere. `None` for accounts that nobody may know of yet.
///
/// The address is not in it: it is shown to admins of the own team alone, and nobody is in a team whose admins could
/// ask.
pub fn others(id: UserId, account: &Account, domain: &Domain, now: Timestamp) -> Option<UserProfile> {
    let status = account.status_at(now);
    if status == AccountStatus::PendingInvitation {
        return None;
    }
    let deleted = status == AccountStatus::Deleted;
    let account = if deleted { &remains(account) } else { account };
    Some(UserProfile {
        qualified_id: Qualified::new(id, domain.clone()),
        name: account.name.clone(),
        text_status: account.text_status.clone(),
        picture: account.picture.clone(),
        assets: account.assets.clone(),
        accent_id: account.accent_id,
        deleted,
        service: account.service,
        handle: account.handle.clone(),
        expires_at: account.expires_at,
        team: account.team,
        email: None,
        legalhold_status: UserLegalHoldStatus::NoConsent,
        supported_protocols: account.supported_protocols.clone(),
        user_type: account.user_type,
        app: None,
        searchable: account.searchable,
    })
}

/// What remains of a deleted account.
fn remains(account: &Account) -> Account {
    Account {
        name: nobody(),
        accent_id: 0,
        handle: None,
        email: None,
        assets: Vec::new(),
        picture: Pict::default(),
        text_status: None,
        team: None,
        expires_at: None,
        ..account.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Account {
        Account {
            name: "Alice".parse().unwrap(),
            email: Some("Alice@b.example".parse().unwrap()),
            activated: true,
            accent_id: 3,
            ..Account::test("alice")
        }
    }

    #[test]
    fn json_of_both_views() {
        let id = UserId(uuid::Uuid::from_u128(1));
        let domain: Domain = "a.example".parse().unwrap();
        let own = serde_json::to_value(own(id, &alice(), &domain, Locale::EN, Timestamp::EPOCH)).unwrap();
        let text = "00000000-0000-0000-0000-000000000001";
        assert_eq!(own["id"], text);
        assert_eq!(own["qualified_id"], serde_json::json!({"domain": "a.example", "id": text}));
        assert_eq!(
            (&own["email"], &own["locale"], &own["status"]),
            (&"Alice@b.example".into(), &"en".into(), &"active".into())
        );
        assert_eq!(own["managed_by"], "wire");

        let others = others(id, &alice(), &domain, Timestamp::EPOCH).unwrap();
        let others = serde_json::to_value(others).unwrap();
        for private in ["email", "locale", "status", "managed_by", "sso_id", "deleted"] {
            assert!(others.get(private).is_none(), "{private}");
        }
        assert_eq!((&others["handle"], &others["legalhold_status"]), (&"alice".into(), &"no_consent".into()));
        assert_eq!(others["supported_protocols"], serde_json::json!(["proteus"]));
    }

    #[test]
    fn an_unverified_address_is_not_shown() {
        let account = Account { activated: false, ..alice() };
        let id = UserId(uuid::Uuid::nil());
        assert_eq!(own(id, &account, &"a.example".parse().unwrap(), Locale::EN, Timestamp::EPOCH).email, None);
    }

    #[test]
    fn what_remains() {
        let id = UserId(uuid::Uuid::nil());
        let domain: Domain = "a.example".parse().unwrap();
        let view = |status| others(id, &Account { status, ..alice() }, &domain, Timestamp::EPOCH);
        assert_eq!(view(AccountStatus::PendingInvitation), None);
        let deleted = view(AccountStatus::Deleted).unwrap();
        assert!(deleted.deleted && deleted.handle.is_none());
        assert_eq!((deleted.name.as_str(), deleted.accent_id), ("default", 0));
        assert!(!view(AccountStatus::Suspended).unwrap().deleted);
    }
}
