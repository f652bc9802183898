//! Who may log in (`brig.md` §6.2, step 4).

use public_api::user::AccountStatus;

use super::email::EmailKey;
use crate::account::Account;

/// Why an account does not let anybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// A temporary guest: he got his only cookie when he registered.
    #[error("a temporary guest cannot log in")]
    Ephemeral,
    /// Deleted, or without a password: nothing that could be presented would be right.
    #[error("there is nothing to log in with")]
    NoCredentials,
    /// Invited and not registered yet.
    #[error("the account is not activated yet")]
    Pending,
    /// Suspended.
    #[error("the account is suspended")]
    Suspended,
}

/// Whether the account can be logged into at all, before the password is looked at.
///
/// # Errors
/// Why not.
pub fn open(account: &Account) -> Result<(), Closed> {
    match account.status {
        AccountStatus::Active if account.password.is_some() => Ok(()),
        AccountStatus::Active | AccountStatus::Deleted => Err(Closed::NoCredentials),
        AccountStatus::Ephemeral => Err(Closed::Ephemeral),
        AccountStatus::PendingInvitation => Err(Closed::Pending),
        AccountStatus::Suspended => Err(Closed::Suspended),
    }
}

/// Whether an address that nobody has claimed belongs to an account that waits for its activation: `bound` is the
/// account that the address's activation code was made for.
pub fn awaits_activation(bound: &Account, address: &EmailKey) -> bool {
    let admits = matches!(bound.status, AccountStatus::Active | AccountStatus::PendingInvitation);
    let has_it = bound.identity().is_some_and(|email| EmailKey::of(email) == *address);
    admits && !has_it
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::PasswordHash;

    #[test]
    fn statuses() {
        let account = |status, password: bool| Account {
            status,
            password: password.then(|| PasswordHash::from("x".to_owned())),
            ..Account::test("alice")
        };
        for (status, password, expected) in [
            (AccountStatus::Active, true, Ok(())),
            (AccountStatus::Active, false, Err(Closed::NoCredentials)),
            (AccountStatus::Deleted, true, Err(Closed::NoCredentials)),
            (AccountStatus::Ephemeral, true, Err(Closed::Ephemeral)),
            (AccountStatus::PendingInvitation, true, Err(Closed::Pending)),
            (AccountStatus::Suspended, true, Err(Closed::Suspended)),
        ] {
            assert_eq!(open(&account(status, password)), expected, "{status:?}");
        }
    }

    #[test]
    fn pending_activation() {
        let address: public_api::email::EmailAddress = "a@b.example".parse().unwrap();
        let key = EmailKey::of(&address);
        let without = Account::test("alice");
        let with = Account { email: Some(address.clone()), activated: true, ..without.clone() };
        let suspended = Account { status: AccountStatus::Suspended, ..without.clone() };
        assert!(awaits_activation(&without, &key));
        assert!(!awaits_activation(&with, &key));
        assert!(!awaits_activation(&suspended, &key));
    }
}
