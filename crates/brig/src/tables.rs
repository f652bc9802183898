//! What brig stores. Tags are brig's from 256 to 511 and are never used again for something else, even when a table
//! is gone.

use std::time::Duration;

use store::{Aggregate, Catalogue, ClaimKind, Guarded, Life, Plain, Size, json_value};
use types::{Domain, TeamId, UserId};

use crate::{
    Account, ActivationCode, RemoteRow,
    claims::{NamesEmail, NamesHandle},
    rules::{budget::Failures, cookies::Cookie, search::Document},
};

/// A user: what must change together with the names he has claimed.
pub const USER: Aggregate<UserId> = Aggregate::new(256, "user", Life::Kept);

/// The account. Guarded in `user`, because a claimed handle or address binds only while this row names it: whoever
/// takes over a claim touches the aggregate, and the commit of the former claimant must then fail.
pub const ACCOUNT: Guarded<(), Account> = Guarded::new(256, "account", &USER, Size::Row);

/// Handles. The text is the handle.
pub const HANDLE_CLAIM: ClaimKind<UserId, NamesHandle> = ClaimKind::new(270, "name/handle", USER, NamesHandle);

/// Verified e-mail addresses. The text is the address' key.
pub const EMAIL_CLAIM: ClaimKind<UserId, NamesEmail> = ClaimKind::new(271, "name/email", USER, NamesEmail);

/// The cookies of a user.
pub const COOKIES: Aggregate<UserId> = Aggregate::new(257, "cookies", Life::Kept);

/// A cookie by its number; it expires with its token. Guarded in `cookies`, because the limit, the policy of labels
/// and "a cookie has one successor" are rules about the whole set.
pub const COOKIE: Guarded<u32, Cookie> = Guarded::new(257, "cookie", &COOKIES, Size::Row);

/// The code that proves an e-mail address, by the digest of the address' key.
pub const ACTIVATION: Aggregate<String> = Aggregate::new(258, "activation", Life::Ephemeral(DAYS_400));

/// The code itself. Guarded in `activation`, because its three tries must not be raced past.
pub const ACTIVATION_CODE: Guarded<(), ActivationCode> = Guarded::new(258, "activation-code", &ACTIVATION, Size::Row);

/// The failed logins of a user.
pub const FAILED_LOGINS: Aggregate<UserId> = Aggregate::new(259, "failed-logins", Life::Ephemeral(DAYS_400));

/// How many there were. Guarded in `failed-logins`, because guesses that come at once must all be counted.
pub const LOGIN_FAILURES: Guarded<(), Failures> = Guarded::new(259, "login-failures", &FAILED_LOGINS, Size::Row);

/// The list of remote backends: one for the whole backend.
pub const REMOTES: Aggregate<()> = Aggregate::new(260, "remotes", Life::Kept);

/// A remote. Guarded in `remotes`, because their number is limited.
pub const REMOTE: Guarded<Domain, RemoteRow> = Guarded::new(260, "remote", &REMOTES, Size::Row);

/// A team that may deal with a remote. Guarded in `remotes`, because there is one only where the remote is restricted
/// to teams.
pub const REMOTE_TEAM: Guarded<(Domain, TeamId), ()> = Guarded::new(261, "remote-team", &REMOTES, Size::Row);

/// The directory: users by each prefix of their handle and of the folded words of their name; within a prefix by
/// [`Rank`](crate::rules::search::Rank) and id. Effects of `user`'s commits.
pub const DIRECTORY: Plain<String, (u8, UserId), Document> = Plain::new(256, "directory");

/// All of them.
pub fn tables() -> Catalogue {
    Catalogue::new()
        .with(&USER)
        .with(&ACCOUNT)
        .with(&HANDLE_CLAIM)
        .with(&EMAIL_CLAIM)
        .with(&COOKIES)
        .with(&COOKIE)
        .with(&ACTIVATION)
        .with(&ACTIVATION_CODE)
        .with(&FAILED_LOGINS)
        .with(&LOGIN_FAILURES)
        .with(&REMOTES)
        .with(&REMOTE)
        .with(&REMOTE_TEAM)
        .with(&DIRECTORY)
}

/// More than any configured life of a code or a budget; their rows expire much earlier.
const DAYS_400: Duration = Duration::from_secs(400 * 86_400);

json_value! { Account, ActivationCode, Cookie, Document, Failures, RemoteRow }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_and_all_tags_are_of_this_component() {
        let tables = tables();
        assert_eq!(tables.check(), Ok(()));
        let rows = tables.guarded_tables().map(|t| t.tag).chain(tables.plain_tables().map(|t| t.tag));
        let tags: Vec<u16> =
            tables.aggregates().map(|t| t.tag).chain(rows).chain(tables.logs().map(|t| t.tag)).collect();
        assert!(!tags.is_empty());
        for tag in tags {
            assert!((256..512).contains(&tag) || tag >= 0xff00, "{tag} is neither brig's nor the store's own");
        }
    }
}
