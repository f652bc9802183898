//! The unique names of users: handles and e-mail addresses (`store.md` §1, "Claim").

use store::{Names, ReadError, Rows, TakeError};

use crate::{rules::email::EmailKey, tables::ACCOUNT, trouble::Trouble};

/// An account names a handle by having it.
#[derive(Clone, Copy, Debug)]
pub struct NamesHandle;

impl Names for NamesHandle {
    async fn names(&self, owner: &Rows, text: &str) -> Result<bool, ReadError> {
        let account = owner.get(&ACCOUNT, &()).await?;
        Ok(account.is_some_and(|row| row.value.handle.is_some_and(|handle| handle.as_str() == text)))
    }
}

/// An account names the key of its address once the address is verified.
#[derive(Clone, Copy, Debug)]
pub struct NamesEmail;

impl Names for NamesEmail {
    async fn names(&self, owner: &Rows, text: &str) -> Result<bool, ReadError> {
        let account = owner.get(&ACCOUNT, &()).await?;
        Ok(account.is_some_and(|row| row.value.identity().is_some_and(|email| EmailKey::of(email).as_str() == text)))
    }
}

/// Why a name was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    /// The store.
    #[error(transparent)]
    Store(#[from] Trouble),
    /// Another has it, or is just taking it.
    #[error("the name is taken")]
    Taken,
}

impl From<TakeError> for ClaimError {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Commit(error) => Self::Store(error.into()),
            TakeError::Contended => Self::Store(Trouble::contended("a name")),
            TakeError::Read(error) => Self::Store(error.into()),
            TakeError::Taken => Self::Taken,
        }
    }
}
