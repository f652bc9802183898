//! What becomes of a request for a new account (`brig.md` §4.1).

use std::time::Duration;

use public_api::user::{AccountStatus, NewUser};
use types::Timestamp;

use crate::account::Account;

/// Why there will be no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwelcome {
    /// The invitation does not exist.
    #[error("there is no such invitation")]
    InvalidInvitation,
    /// An invitation without the address it was sent to.
    #[error("an invitation demands the address it was sent to")]
    MissingIdentity,
    /// An account that belongs to a team from the beginning: there are no teams here.
    #[error("teams cannot be made here")]
    Teams,
}

/// The account that another component or an operator asks for: activated at once if it has an address, a temporary
/// guest if it has none. The password is added by the caller.
///
/// # Errors
/// Why not.
pub fn internal(new: &NewUser, guest_life: Duration, now: Timestamp) -> Result<Account, Unwelcome> {
    if new.invitation_code.is_some() || new.team_code.is_some() {
        return Err(if new.email.is_some() { Unwelcome::InvalidInvitation } else { Unwelcome::MissingIdentity });
    }
    if new.team.is_some() || new.team_id.is_some() || new.sso_id.is_some() {
        return Err(Unwelcome::Teams);
    }
    let identified = new.email.is_some();
    let life = new.expires_in.map_or(guest_life, |life| Duration::from_secs(u64::from(life.seconds())));
    let mut account = Account::new(new.name.clone(), now);
    account.status = if identified { AccountStatus::Active } else { AccountStatus::Ephemeral };
    account.activated = identified;
    account.email = new.email.clone();
    account.expires_at = (!identified).then(|| now + life);
    account.accent_id = new.accent_id.unwrap_or_default();
    account.assets = new.assets.clone();
    account.picture = new.picture.clone().unwrap_or_default();
    account.locale = new.locale;
    account.managed_by = new.managed_by.unwrap_or_default();
    if let Some(protocols) = new.supported_protocols.clone().filter(|protocols| !protocols.is_empty()) {
        account.supported_protocols = protocols;
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(json: &str) -> Result<Account, Unwelcome> {
        let new: NewUser = serde_json::from_str(json).unwrap();
        internal(&new, Duration::from_secs(100), Timestamp::from_seconds(1_000))
    }

    #[test]
    fn with_an_address_it_is_active_at_once() {
        let account = ask(r#"{"name":"A","email":"a@b.example","accent_id":2,"locale":"de-AT"}"#).unwrap();
        assert!(account.activated && account.expires_at.is_none());
        assert_eq!((account.status, account.accent_id), (AccountStatus::Active, 2));
    }

    #[test]
    fn without_one_it_is_a_guests() {
        let account = ask(r#"{"name":"A"}"#).unwrap();
        assert_eq!((account.status, account.activated), (AccountStatus::Ephemeral, false));
        assert_eq!(account.expires_at, Some(Timestamp::from_seconds(1_100)));
        let account = ask(r#"{"name":"A","expires_in":7}"#).unwrap();
        assert_eq!(account.expires_at, Some(Timestamp::from_seconds(1_007)));
    }

    #[test]
    fn protocols() {
        let account = ask(r#"{"name":"A","supported_protocols":[]}"#).unwrap();
        assert_eq!(account.supported_protocols.len(), 1, "nothing means Proteus");
        let account = ask(r#"{"name":"A","supported_protocols":["mls","proteus"]}"#).unwrap();
        assert_eq!(account.supported_protocols.len(), 2);
    }

    #[test]
    fn what_is_refused() {
        for (json, why) in [
            (r#"{"name":"A","email":"a@b.example","invitation_code":"x"}"#, Unwelcome::InvalidInvitation),
            (r#"{"name":"A","invitation_code":"x"}"#, Unwelcome::MissingIdentity),
            (
                r#"{"name":"A","email":"a@b.example","password":"12345678","team":{"name":"T","icon":"default"}}"#,
                Unwelcome::Teams,
            ),
        ] {
            assert_eq!(ask(json), Err(why), "{json}");
        }
    }
}
