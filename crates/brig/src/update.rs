//! Writing by looking first: open, decide, commit, and again if somebody else was faster.

use std::time::Duration;

use store::{AggRef, Commit, CommitError, Store, View};
use types::Rng;

use crate::trouble::Trouble;

/// How often a change is tried. One of several rivals wins each round, so this many may meet on one account.
const TRIES: u32 = 16;

/// The tries of one change of one aggregate.
///
/// ```text
/// let mut update = Update::of(store, rng, aggregate);
/// loop {
///     let view = update.open().await?;
///     …
///     if update.commit(commit).await? { return Ok(result) }
/// }
/// ```
///
/// (A loop and not a closure: what an async closure borrows cannot be shown to be `Send` in a handler.)
pub(crate) struct Update<'a> {
    store: &'a Store,
    rng: &'a dyn Rng,
    aggregate: AggRef,
    tried: u32,
}

impl<'a> Update<'a> {
    /// A change of that aggregate.
    pub(crate) fn of(store: &'a Store, rng: &'a dyn Rng, aggregate: AggRef) -> Self {
        Self { store, rng, aggregate, tried: 0 }
    }

    /// The aggregate as it is now.
    pub(crate) async fn open(&self) -> Result<View, Trouble> {
        Ok(self.store.view(self.aggregate.clone()).await?)
    }

    /// Commits. `false` means that somebody else was faster: open and decide again.
    pub(crate) async fn commit(&mut self, commit: Commit) -> Result<bool, Trouble> {
        match self.store.commit(commit).await {
            Ok(_) => return Ok(true),
            Err(CommitError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        self.tried += 1;
        if self.tried >= TRIES {
            return Err(Trouble::contended(self.aggregate.kind()));
        }
        // A random while that grows, so that the same rivals do not meet again.
        let most = 500 << self.tried.min(6);
        tokio::time::sleep(Duration::from_micros(self.rng.below(most))).await;
        Ok(false)
    }
}
