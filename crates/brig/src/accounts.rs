//! Accounts on the store: making them, finding them, changing them (`store.md` §4, rows a and b).

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use public_api::{
    UserProfile,
    email::EmailAddress,
    user::{ManagedBy, NewUser, SelfProfile},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use store::{ClaimKind, Commit, Names, View};
use subtle::ConstantTimeEq as _;
use types::{Handle, UserId};

use crate::{
    Account, Brig,
    claims::ClaimError,
    directory, limits,
    password::Overloaded,
    rules::{
        email::EmailKey,
        profiles,
        registration::{self, Unwelcome},
    },
    tables::{ACCOUNT, ACTIVATION, ACTIVATION_CODE, EMAIL_CLAIM, HANDLE_CLAIM, USER},
    trouble::Trouble,
};

/// Why there is no new account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    /// The code that should prove the address is wrong.
    #[error("wrong activation code")]
    Code,
    /// Another account has the address, or the id that was asked for.
    #[error("the address or the id is in use")]
    KeyExists,
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The store.
    #[error(transparent)]
    Store(#[from] Trouble),
    /// The request itself.
    #[error(transparent)]
    Unwelcome(#[from] Unwelcome),
}

impl From<ClaimError> for RegisterError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Store(trouble) => trouble.into(),
            ClaimError::Taken => Self::KeyExists,
        }
    }
}

/// Why the handle is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandleError {
    /// The customer's directory decides on it.
    #[error("the handle is managed by SCIM")]
    Managed,
    /// There is no such user, or none with a verified identity.
    #[error("the user has no verified identity")]
    NoIdentity,
    /// The store.
    #[error(transparent)]
    Store(#[from] Trouble),
    /// Another account has it.
    #[error("the handle is taken")]
    Taken,
}

impl From<ClaimError> for HandleError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Store(trouble) => trouble.into(),
            ClaimError::Taken => Self::Taken,
        }
    }
}

/// A code that proves an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationCode {
    /// Which address it is for, without naming it: base64url of the digest of its key.
    pub key: String,
    /// Six digits.
    pub code: String,
    /// How often a wrong code may still be presented.
    pub tries: u32,
    /// The account that it was made for; none for an address that was asked about before there was an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

impl Brig {
    /// The account of that id, whatever its state.
    pub(crate) async fn account(&self, user: UserId) -> Result<Option<Account>, Trouble> {
        Ok(self.store().peek(USER.of(&user)).get(&ACCOUNT, &()).await?.map(|row| row.value))
    }

    /// The account that has that handle.
    pub(crate) async fn by_handle(&self, handle: &Handle) -> Result<Option<(UserId, Account)>, Trouble> {
        let owner = self.store().claim(&HANDLE_CLAIM, handle.as_str()).owner().await?;
        self.owning(owner, |account| account.handle.as_ref() == Some(handle)).await
    }

    /// The account that has that address.
    pub(crate) async fn by_email(&self, key: &EmailKey) -> Result<Option<(UserId, Account)>, Trouble> {
        let owner = self.store().claim(&EMAIL_CLAIM, key.as_str()).owner().await?;
        self.owning(owner, |account| account.identity().is_some_and(|email| EmailKey::of(email) == *key)).await
    }

    /// The account of a claim's owner, if it still has what was claimed.
    async fn owning(
        &self,
        owner: Option<UserId>,
        has_it: impl FnOnce(&Account) -> bool,
    ) -> Result<Option<(UserId, Account)>, Trouble> {
        let Some(user) = owner else { return Ok(None) };
        Ok(self.account(user).await?.filter(has_it).map(|account| (user, account)))
    }

    /// What the user himself sees of an account.
    pub(crate) fn own_profile(&self, id: UserId, account: &Account) -> SelfProfile {
        profiles::own(id, account, self.domain(), self.settings().default_user_locale, self.clock().now())
    }

    /// What others see of an account.
    pub(crate) fn profile(&self, id: UserId, account: &Account) -> Option<UserProfile> {
        profiles::others(id, account, self.domain(), self.clock().now())
    }

    /// What others see of several accounts, in the order of the ids; unknown ones are left out.
    pub(crate) async fn profiles(&self, ids: &[UserId]) -> Result<Vec<UserProfile>, Trouble> {
        let read = |id: UserId| async move {
            let account = self.account(id).await?;
            Ok(account.and_then(|account| self.profile(id, &account)))
        };
        let read = stream::iter(ids.to_vec()).map(read).buffered(limits::PARALLEL_READS);
        read.try_filter_map(|profile| async { Ok(profile) }).try_collect().await
    }

    /// Makes an account. It exists, with its address, once its row is committed; whatever stops the way there binds
    /// nothing.
    pub(crate) async fn register(&self, new: NewUser) -> Result<(UserId, Account), RegisterError> {
        let guest_life = self.settings().session_token_timeout;
        let mut account = registration::internal(&new, guest_life, self.clock().now())?;
        if let (Some(address), Some(code)) = (&new.email, &new.email_code) {
            self.redeem(address, code.expose()).await?;
        }
        if let Some(password) = &new.password {
            account.password = Some(self.passwords().hash(SecretString::from(password.expose().to_owned())).await?);
        }
        let user = new.uuid.map_or_else(|| UserId::random(self.rng()), UserId);
        let key = account.email.as_ref().map(EmailKey::of);
        let (new, key) = (&account, key.as_ref());
        // The view is older than the claim: a rival who takes the claim over touches this aggregate, so that the commit
        // fails (`store.md` §1, "Claim").
        let made = self.store().update(USER.of(&user), |view| async move {
            if view.get(&ACCOUNT, &()).await.map_err(Trouble::from)?.is_some() {
                return Err(RegisterError::KeyExists);
            }
            if let Some(key) = key {
                self.take(&EMAIL_CLAIM, key.as_str(), &view).await?;
            }
            Ok((written(&view, user, None, new), ()))
        });
        let made = made.await;
        if made.is_err()
            && let Some(key) = key
        {
            self.give_up(&EMAIL_CLAIM, key.as_str(), user).await;
        }
        made.map_err(Trouble::of_update)?;
        // The address counts as proved already, so the account does not depend on its code.
        if let Some(address) = &account.email
            && let Err(error) = self.new_activation_code(address, user).await
        {
            tracing::warn!(%error, "an account has no activation code");
        }
        Ok((user, account))
    }

    /// Gives a user another handle. Afterwards the old one is free at once.
    pub(crate) async fn change_handle(&self, user: UserId, handle: &Handle) -> Result<(), HandleError> {
        let changed = self.store().update(USER.of(&user), |view| async move {
            let before = view.get(&ACCOUNT, &()).await.map_err(Trouble::from)?;
            let before = before.map(|row| row.value).ok_or(HandleError::NoIdentity)?;
            let same = before.handle.as_ref() == Some(handle);
            if before.managed_by == ManagedBy::Scim && !same {
                return Err(HandleError::Managed);
            }
            if before.identity().is_none() {
                return Err(HandleError::NoIdentity);
            }
            if same {
                return Ok((Commit::free(), None));
            }
            self.take(&HANDLE_CLAIM, handle.as_str(), &view).await?;
            let after = Account { handle: Some(handle.clone()), ..before.clone() };
            Ok((written(&view, user, Some(&before), &after), before.handle))
        });
        let changed = changed.await;
        if changed.is_err() {
            self.give_up(&HANDLE_CLAIM, handle.as_str(), user).await;
        }
        if let Some(old) = changed.map_err(Trouble::of_update)? {
            self.give_up(&HANDLE_CLAIM, old.as_str(), user).await;
        }
        Ok(())
    }

    /// Takes a name for the account that `mine` is a view of.
    async fn take<N: Names>(&self, kind: &ClaimKind<UserId, N>, text: &str, mine: &View) -> Result<(), ClaimError> {
        Ok(self.store().claim(kind, text).take(mine).await?)
    }

    /// Gives a name up that the account does not name, so that others need not wait until its claim looks abandoned.
    /// That is all it is for: a name that the account does name stays its own, and one that is not given up binds
    /// nobody.
    async fn give_up<N: Names>(&self, kind: &ClaimKind<UserId, N>, text: &str, user: UserId) {
        if let Err(error) = self.store().claim(kind, text).leave(&user).await {
            tracing::info!(%error, "a name was not given up");
        }
    }

    /// Changes an account in ways that no name depends on. Does nothing where there is none.
    pub(crate) async fn change_account(
        &self,
        user: UserId,
        change: impl Fn(&mut Account) + Sync,
    ) -> Result<(), Trouble> {
        let change = &change;
        let changed = self.store().update(USER.of(&user), |view| async move {
            let Some(before) = view.get(&ACCOUNT, &()).await?.map(|row| row.value) else {
                return Ok((Commit::free(), ()));
            };
            let mut after = before.clone();
            change(&mut after);
            let same = after == before;
            Ok((if same { Commit::free() } else { written(&view, user, Some(&before), &after) }, ()))
        });
        changed.await.map_err(Trouble::of_update)
    }

    /// The code that waits for an address.
    pub(crate) async fn activation_code(&self, address: &EmailAddress) -> Result<Option<ActivationCode>, Trouble> {
        let key = URL_SAFE.encode(EmailKey::of(address).digest());
        Ok(self.store().peek(ACTIVATION.of(&key)).get(&ACTIVATION_CODE, &()).await?.map(|row| row.value))
    }

    async fn new_activation_code(&self, address: &EmailAddress, user: UserId) -> Result<(), Trouble> {
        let key = URL_SAFE.encode(EmailKey::of(address).digest());
        let code = format!("{:06}", self.rng().below(1_000_000));
        let code = ActivationCode { key: key.clone(), code, tries: limits::ACTIVATION_TRIES, user: Some(user) };
        let expires = self.clock().now() + self.settings().activation_timeout;
        let code = &code;
        let made = self.store().update(ACTIVATION.of(&key), |view| async move {
            let mut commit = Commit::on(&view);
            commit.put(&ACTIVATION_CODE, &(), code).expires(expires);
            Ok((commit, ()))
        });
        made.await.map_err(Trouble::of_update)
    }

    /// Compares a code with the one that waits. A wrong one counts; after the third the code is gone.
    async fn redeem(&self, address: &EmailAddress, presented: &str) -> Result<(), RegisterError> {
        let key = URL_SAFE.encode(EmailKey::of(address).digest());
        let right = self.store().update(ACTIVATION.of(&key), |view| async move {
            let Some(row) = view.get(&ACTIVATION_CODE, &()).await.map_err(Trouble::from)? else {
                return Err(RegisterError::Code);
            };
            let waiting = row.value;
            if bool::from(waiting.code.as_bytes().ct_eq(presented.as_bytes())) {
                return Ok((Commit::free(), true));
            }
            let tries = waiting.tries.saturating_sub(1);
            let mut commit = Commit::on(&view);
            if tries == 0 {
                commit.delete(&ACTIVATION_CODE, &());
            } else {
                let options = commit.put(&ACTIVATION_CODE, &(), &ActivationCode { tries, ..waiting });
                if let Some(expires) = row.expires {
                    options.expires(expires);
                }
            }
            Ok((commit, false))
        });
        if right.await.map_err(Trouble::of_update)? { Ok(()) } else { Err(RegisterError::Code) }
    }
}

/// A commit of an account together with its places in the directory.
fn written(view: &View, user: UserId, before: Option<&Account>, after: &Account) -> Commit {
    let mut commit = Commit::on(view);
    commit.put(&ACCOUNT, &(), after);
    directory::list(&mut commit, user, before, after);
    commit
}
