//! Sessions: logging in, renewing access, logging out (`brig.md` §6.2–6.4). The decisions are in
//! [`rules`](crate::rules); here they are carried out on the store.

use std::time::Duration;

use public_api::{auth::LoginId, user::AccountStatus};
use secrecy::SecretString;
use store::Commit;
use types::{ClientId, Timestamp, UserId};
use zauth::{Access, Body, Expiry, SignedToken, Token, User};

use crate::{
    Account, Brig,
    outlive::to_the_end,
    password::{Overloaded, Verdict},
    rules::{
        access::{self, Candidate, Presented, Refused},
        budget::Failures,
        cookies::{self, Cookie, CookieKind, Renewal},
        email::EmailKey,
        login::{self, Closed},
    },
    tables::{COOKIE, COOKIES, FAILED_LOGINS, LOGIN_FAILURES},
    trouble::Trouble,
};

/// What somebody presents to log in.
pub(crate) struct Credentials {
    pub(crate) id: LoginId,
    pub(crate) password: SecretString,
    pub(crate) label: Option<String>,
    pub(crate) kind: CookieKind,
}

/// A session that was begun or renewed.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: UserId,
    pub(crate) access: SignedToken,
    /// The cookie to be set, if it is new to the client.
    pub(crate) cookie: Option<(SignedToken, CookieKind)>,
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The account lets nobody in.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// Unknown user or wrong password: which of them is not said.
    #[error("wrong credentials")]
    Credentials,
    /// Too many passwords are being checked.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// Too many wrong passwords.
    #[error("too many failed logins")]
    TooManyFailures(Duration),
    /// Too many logins.
    #[error("logins too frequent")]
    TooFrequent(Duration),
    /// Too many passwords were tried for this account.
    #[error("the password of this account was tried too often")]
    TriedTooOften(Duration),
    /// The store.
    #[error(transparent)]
    Store(#[from] Trouble),
}

/// Why access was not renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// What was presented is not in order.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store.
    #[error(transparent)]
    Store(#[from] Trouble),
}

impl Brig {
    /// Logs a user in.
    pub(crate) async fn login(&self, credentials: Credentials) -> Result<Session, LoginError> {
        let Some((user, account)) = self.resolve(&credentials.id).await? else {
            // As much work and as many tries as with an account, so that nobody learns here that there is none.
            self.hash_budget().take_unknown(&credentials.id).map_err(LoginError::TriedTooOften)?;
            self.passwords().verify(credentials.password, None).await?;
            return Err(LoginError::Credentials);
        };
        let limit = self.settings().limit_failed_logins;
        if let Some(limit) = limit {
            let failures = self.store().peek(FAILED_LOGINS.of(&user)).get(&LOGIN_FAILURES, &()).await;
            let failures = failures.map_err(Trouble::from)?.map(|row| row.value);
            if let Some(wait) = failures.and_then(|failures| failures.closed_for(limit, self.clock().now())) {
                return Err(LoginError::TooManyFailures(wait));
            }
        }
        self.hash_budget().take(user).map_err(LoginError::TriedTooOften)?;
        let stored = match login::open(&account) {
            Ok(()) => account.password.clone(),
            Err(Closed::NoCredentials) => None,
            Err(closed) => return Err(closed.into()),
        };
        match self.passwords().verify(credentials.password.clone(), stored).await? {
            Verdict::Wrong => {
                self.count_failure(user).await?;
                return Err(LoginError::Credentials);
            }
            Verdict::Outdated => self.rehash(user, &account, credentials.password).await,
            Verdict::Right => {}
        }
        if self.suspend_if_inactive(user).await? {
            return Err(Closed::Suspended.into());
        }
        let (cookie, token) = self.new_cookie(user, credentials.kind, credentials.label).await?;
        Ok(Session { user, access: self.access_token(user, None, None), cookie: Some((token, cookie.kind)) })
    }

    /// Renews access by a cookie.
    pub(crate) async fn renew(&self, presented: &Presented, client: Option<ClientId>) -> Result<Session, AccessError> {
        let (candidate, _) = self.valid_cookie(presented).await?;
        if client.is_some() {
            // Clients are not kept here yet, so nobody has one.
            return Err(Refused::Invalid.into());
        }
        let user = candidate.cookie.user;
        if self.suspend_if_inactive(user).await? {
            return Err(Refused::Expired.into());
        }
        let successor = self.succeed(user, candidate.cookie.rand).await?;
        let access = self.access_token(user, candidate.cookie.client, candidate.connection);
        let cookie = successor.map(|cookie| (self.cookie_token(user, &cookie), cookie.kind));
        Ok(Session { user, access, cookie })
    }

    /// Revokes the presented cookie.
    pub(crate) async fn logout(&self, presented: &Presented) -> Result<(), AccessError> {
        let (candidate, _) = self.valid_cookie(presented).await?;
        let (user, id) = (candidate.cookie.user, candidate.cookie.rand);
        let revoked = self.store().update(COOKIES.of(&user), |view| async move {
            let mut commit = Commit::on(&view);
            commit.delete(&COOKIE, &id);
            Ok((commit, ()))
        });
        revoked.await.map_err(Trouble::of_update)
    }

    /// The account that is meant, among those that have claimed what was presented.
    async fn resolve(&self, id: &LoginId) -> Result<Option<(UserId, Account)>, LoginError> {
        let found = match id {
            LoginId::Email(address) => self.by_email(&EmailKey::of(address)).await?,
            LoginId::Handle(handle) => self.by_handle(handle).await?,
        };
        let (None, LoginId::Email(address)) = (&found, id) else { return Ok(found) };
        let bound = self.activation_code(address).await?.and_then(|code| code.user);
        let waiting = match bound {
            Some(user) => self.account(user).await?,
            None => None,
        };
        let key = EmailKey::of(address);
        if waiting.is_some_and(|account| login::awaits_activation(&account, &key)) {
            return Err(Closed::Pending.into());
        }
        Ok(None)
    }

    async fn count_failure(&self, user: UserId) -> Result<(), Trouble> {
        let Some(limit) = self.settings().limit_failed_logins else { return Ok(()) };
        let counted = self.store().update(FAILED_LOGINS.of(&user), |view| async move {
            let before = view.get(&LOGIN_FAILURES, &()).await?.map(|row| row.value);
            let failures = Failures::another(before, limit, self.clock().now());
            let mut commit = Commit::on(&view);
            commit.put(&LOGIN_FAILURES, &(), &failures).expires(failures.since + limit.timeout);
            Ok((commit, ()))
        });
        counted.await.map_err(Trouble::of_update)
    }

    /// Replaces a hash of an older kind, now that the password is known. Best effort: the login does not depend on it.
    async fn rehash(&self, user: UserId, account: &Account, password: SecretString) {
        let hash = match self.passwords().hash(password).await {
            Ok(hash) => hash,
            Err(error) => return tracing::info!(%user, %error, "an old password hash stays for now"),
        };
        let changed = self.change_account(user, |current| {
            if current.password == account.password {
                current.password = Some(hash.clone());
            }
        });
        if let Err(error) = changed.await {
            tracing::warn!(%user, %error, "an old password hash stays for now");
        }
    }

    /// Suspends a user who has been away for too long, if that is configured; whether it was done. The cookies go with
    /// it, also when the caller has gone away.
    async fn suspend_if_inactive(&self, user: UserId) -> Result<bool, Trouble> {
        let Some(after) = self.settings().suspend_inactive_users else { return Ok(false) };
        let cookies = self.cookies(user).await?;
        if !cookies::inactive(&cookies, after, self.clock().now()) {
            return Ok(false);
        }
        tracing::warn!(%user, "suspended for inactivity");
        let brig = self.clone();
        to_the_end(async move {
            brig.change_account(user, |account| account.status = AccountStatus::Suspended).await?;
            brig.revoke_all(user).await
        })
        .await?;
        Ok(true)
    }

    async fn revoke_all(&self, user: UserId) -> Result<(), Trouble> {
        let revoked = self.store().update(COOKIES.of(&user), |view| async move {
            let mut commit = Commit::on(&view);
            for cookie in live(&view).await? {
                commit.delete(&COOKIE, &cookie.id);
            }
            Ok((commit, ()))
        });
        revoked.await.map_err(Trouble::of_update)
    }

    async fn cookies(&self, user: UserId) -> Result<Vec<Cookie>, Trouble> {
        live(&self.store().peek(COOKIES.of(&user))).await
    }

    /// Makes a cookie: others of the same label end, and those that are too many.
    ///
    /// Whether the account still lets anybody in is read after the cookies. Who suspends it changes the account first
    /// and the cookies then, so that either the suspension is seen here or this commit conflicts or the cookie is among
    /// those that end.
    async fn new_cookie(
        &self,
        user: UserId,
        kind: CookieKind,
        label: Option<String>,
    ) -> Result<(Cookie, SignedToken), LoginError> {
        let (settings, label) = (self.settings(), label.as_deref());
        let made = self.store().update(COOKIES.of(&user), |view| async move {
            let now = self.clock().now();
            let all = live(&view).await?;
            let account = self.account(user).await?.ok_or(LoginError::Credentials)?;
            login::open(&account)?;
            let same_kind: Vec<_> = all.iter().filter(|cookie| cookie.kind == kind).cloned().collect();
            let evicted = cookies::evictions(&same_kind, settings.user_cookie_limit, now);
            if !evicted.is_empty()
                && let Some(wait) = cookies::throttled(&same_kind, settings.user_cookie_throttle, now)
            {
                return Err(LoginError::TooFrequent(wait));
            }
            let cookie = self.fresh_cookie(&all, kind, label.map(str::to_owned), None, now);
            let mut commit = Commit::on(&view);
            for id in evicted.into_iter().chain(cookies::same_label(&all, label)) {
                commit.delete(&COOKIE, &id);
            }
            commit.put(&COOKIE, &cookie.id, &cookie).expires(cookie.expires);
            Ok((commit, cookie))
        });
        let cookie = made.await.map_err(Trouble::of_update)?;
        let token = self.cookie_token(user, &cookie);
        Ok((cookie, token))
    }

    /// The cookie's successor, if it is time for one. Two renewals at once end with the same successor: the second
    /// one's commit conflicts, and when it looks again the first one's is there.
    async fn succeed(&self, user: UserId, id: u32) -> Result<Option<Cookie>, AccessError> {
        let renew_age = self.settings().user_cookie_renew_age;
        let succeeded = self.store().update(COOKIES.of(&user), |view| async move {
            let now = self.clock().now();
            let all = live(&view).await?;
            // A cookie of an account that lets nobody in any more is as good as revoked.
            let account = self.account(user).await?.map(|account| account.status_at(now));
            if !matches!(account, Some(AccountStatus::Active | AccountStatus::Ephemeral)) {
                return Err(Refused::Invalid.into());
            }
            let current = all.iter().find(|cookie| cookie.id == id).ok_or(Refused::Invalid)?;
            match cookies::renewal(current, &all, renew_age, now) {
                // Nothing to write: what was read is the answer.
                Renewal::Keep => return Ok((Commit::free(), None)),
                Renewal::Repeat(successor) => {
                    tracing::info!(%user, "a superseded cookie was presented");
                    return Ok((Commit::free(), Some(successor)));
                }
                Renewal::Succeed => {}
            }
            let successor = self.fresh_cookie(&all, current.kind, current.label.clone(), current.client, now);
            let old = cookies::superseded(current, successor.id);
            let mut commit = Commit::on(&view);
            commit.put(&COOKIE, &successor.id, &successor).expires(successor.expires);
            commit.put(&COOKIE, &old.id, &old).expires(old.expires.min(now + renew_age));
            Ok((commit, Some(successor)))
        });
        succeeded.await.map_err(Trouble::of_update)
    }

    /// A cookie with a number that none of the others has.
    fn fresh_cookie(
        &self,
        others: &[Cookie],
        kind: CookieKind,
        label: Option<String>,
        client: Option<ClientId>,
        now: Timestamp,
    ) -> Cookie {
        let mut id = self.rng().u32();
        while others.iter().any(|other| other.id == id) {
            id = id.wrapping_add(1);
        }
        let life = match kind {
            CookieKind::Persistent => self.settings().user_token_timeout,
            CookieKind::Session => self.settings().session_token_timeout,
        };
        // Tokens count whole seconds, and row and token end together.
        let expires = Timestamp::from_seconds((now + life).seconds());
        Cookie { id, kind, created: now, expires, label, successor: None, client }
    }

    fn cookie_token(&self, user: UserId, cookie: &Cookie) -> SignedToken {
        let fields = User { user, rand: cookie.id, client: cookie.client };
        let body = match cookie.kind {
            CookieKind::Persistent => Body::User(fields),
            CookieKind::Session => Body::Session(fields),
        };
        self.keys().signer.sign(Token { expires: Expiry::at(cookie.expires), body })
    }

    /// A new access token, for the connection that the previous one was for if there was one.
    fn access_token(&self, user: UserId, client: Option<ClientId>, connection: Option<u64>) -> SignedToken {
        let connection = connection.unwrap_or_else(|| self.rng().u64());
        let expires = Expiry::at(self.clock().now() + self.settings().access_token_timeout);
        self.keys().signer.sign(Token { expires, body: Body::Access(Access { user, client, connection }) })
    }

    /// The first presented cookie that is in order and not revoked. If none is, the fault of the first one is told.
    async fn valid_cookie<'a>(&self, presented: &'a Presented) -> Result<(Candidate<'a>, Cookie), AccessError> {
        let mut first_fault = None;
        for index in 0..presented.cookies.len() {
            let fault = match access::judge(presented, index, &self.keys().public, self.clock().now()) {
                Ok(candidate) => match self.stored_cookie(&candidate, presented).await? {
                    Some(stored) => return Ok((candidate, stored)),
                    None => Refused::Invalid,
                },
                Err(fault) => fault,
            };
            first_fault.get_or_insert(fault);
        }
        Err(first_fault.unwrap_or(Refused::NoCookie).into())
    }

    /// The row of a cookie; its token must be the one that the row was made for, down to the second of its end.
    async fn stored_cookie(&self, candidate: &Candidate<'_>, presented: &Presented) -> Result<Option<Cookie>, Trouble> {
        let rows = self.store().peek(COOKIES.of(&candidate.cookie.user));
        let row = rows.get(&COOKIE, &candidate.cookie.rand).await?;
        let expires = presented.cookies[candidate.index].expires();
        Ok(row.map(|row| row.value).filter(|cookie| Expiry::at(cookie.expires) == expires))
    }
}

/// The cookies that have not expired.
async fn live(rows: &store::Rows) -> Result<Vec<Cookie>, Trouble> {
    Ok(rows.all(&COOKIE).await?.into_iter().map(|(_, row)| row.value).collect())
}
