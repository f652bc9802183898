//! Writing by looking first, and bringing commits to an end whose outcome nobody told.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

use crate::{
    AggRef, Commit, CommitError, CommitId, Store, UpdateError, Version, View,
    engine::{Head, HeadQuery, RawAggregate},
    limits,
    turns::Turn,
};

impl Store {
    /// Opens an aggregate, lets `decide` look and compose a commit, and does it; again from the start when another
    /// commit came in between. The usual way to write.
    ///
    /// `decide` runs once for each try, so what it does besides composing must not matter; and others may be waiting
    /// for it, so it does not update the same aggregate. If nothing is to be written it returns [`Commit::free`].
    ///
    /// When it returns `Ok`, the last commit that was composed is done. On any error but
    /// [`OutcomeUnknown`](CommitError::OutcomeUnknown) none was done and none will be. That one is left for an engine
    /// that does not answer for long, or for an aggregate in which so many others were faster that it has forgotten.
    ///
    /// # Errors
    /// See [`UpdateError`].
    // Not `AsyncFnMut(&View)`: the future of an update would then not be `Send` for every lifetime, and handlers need it.
    pub async fn update<T, E, F>(
        &self,
        aggregate: AggRef,
        mut decide: impl FnMut(View) -> F,
    ) -> Result<T, UpdateError<E>>
    where
        F: Future<Output = Result<(Commit, T), E>>,
    {
        let (started, mut turn) = (self.0.clock.monotonic(), None);
        for attempt in 1.. {
            let view = self.view(aggregate.clone()).await.map_err(UpdateError::Read)?;
            let (commit, result) = decide(view).await.map_err(UpdateError::Decide)?;
            match self.commit_surely(commit).await {
                Ok(()) => return Ok(result),
                Err(CommitError::Conflict) if attempt < limits::UPDATE_TRIES => {}
                Err(error) => return Err(UpdateError::Commit(error)),
            }
            if self.0.clock.monotonic().saturating_duration_since(started) >= self.0.deadline {
                break;
            }
            if turn.is_none() {
                turn = self.turn(&aggregate).await;
            } else {
                self.pause(attempt).await;
            }
        }
        Err(UpdateError::Commit(CommitError::Conflict))
    }

    /// Waits until the other updates of the aggregate that met with a conflict on this node are through, so that a crowd
    /// does not trip itself up. A courtesy and no more: who has waited for long goes on without it.
    async fn turn(&self, aggregate: &AggRef) -> Option<Turn> {
        timeout(self.0.deadline, self.0.turns.take(&aggregate.bytes)).await.ok()
    }

    /// As [`commit`](Self::commit), and sends the commit again while its outcome is unknown, which its aggregate
    /// recognises. A commit without an aggregate is not recognised, so it is sent once.
    pub(crate) async fn commit_surely(&self, commit: Commit) -> Result<(), CommitError> {
        let Some(raw) = self.raw(commit)? else { return Ok(()) };
        let started = self.0.clock.monotonic();
        let unknown = match self.0.engine.commit(&raw, self.0.deadline).await {
            Err(unknown @ CommitError::OutcomeUnknown { .. }) => unknown,
            told => return told.map(drop),
        };
        let Some(aggregate) = &raw.aggregate else { return Err(unknown) };
        for again in 1..limits::UNKNOWN_TRIES {
            self.pause(again).await;
            match self.0.engine.commit(&raw, self.0.deadline).await {
                Ok(_) => return Ok(()),
                // It says that nothing happened this time. What happened the first time, the aggregate knows.
                Err(CommitError::Conflict) if self.never_will(aggregate, raw.id).await => {
                    return Err(CommitError::Conflict);
                }
                Err(_) => {}
            }
            // The deadline of the first sending, and as much again to find out.
            if self.0.clock.monotonic().saturating_duration_since(started) >= self.0.deadline * 2 {
                break;
            }
        }
        Err(unknown)
    }

    /// Whether a commit that expected its aggregate unchanged has surely not been done and will not be.
    async fn never_will(&self, aggregate: &RawAggregate, id: CommitId) -> bool {
        let Some(unchanged) = aggregate.unchanged else { return false };
        let query = HeadQuery { kind: aggregate.kind, aggregate: aggregate.bytes.clone() };
        self.0.engine.head(&query).await.is_ok_and(|head| rules_out(&head, id, unchanged))
    }

    /// Waits a random while that grows with the number of tries, so that rivals do not meet again.
    pub(crate) async fn pause(&self, attempt: u32) {
        let most = 1_u64 << attempt.min(7);
        tokio::time::sleep(Duration::from_micros(self.0.rng.below(most * 500))).await;
    }
}

/// Whether the head shows that a commit is not in the chain, and that its place there, next after `unchanged`, is taken.
fn rules_out(head: &Head, id: CommitId, unchanged: Version) -> bool {
    let remembers_place =
        head.recent.len() < limits::RECENT || head.recent.iter().any(|(_, version)| *version <= unchanged);
    head.version != unchanged && remembers_place && head.recent.iter().all(|(done, _)| *done != id)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn head(recent: std::ops::RangeInclusive<u64>) -> Head {
        let version = Version::from_micros(*recent.end());
        let commit = |n| (CommitId(Uuid::from_u64_pair(0, n)), Version::from_micros(n));
        Head { version, recent: recent.map(commit).collect() }
    }

    #[test]
    fn only_a_head_that_reaches_back_far_enough_rules_a_commit_out() {
        let (mine, stranger) = (CommitId(Uuid::from_u64_pair(0, 10)), CommitId(Uuid::from_u64_pair(1, 0)));
        let after = Version::from_micros;
        for (case, head, id, unchanged, ruled_out) in [
            ("still in its place", head(3..=9), stranger, after(9), false),
            ("overtaken", head(3..=10), stranger, after(9), true),
            ("done, and overtaken", head(9..=16), mine, after(9), false),
            ("its place is the oldest remembered one", head(9..=16), stranger, after(9), true),
            ("its place is forgotten", head(10..=17), stranger, after(9), false),
            ("never written", Head::default(), stranger, Version::NEVER, false),
            ("overtaken at the very first", head(1..=1), stranger, Version::NEVER, true),
            ("overtaken seven times from the first on", head(1..=7), stranger, Version::NEVER, true),
            ("eight from the first on, or more", head(1..=8), stranger, Version::NEVER, false),
        ] {
            assert_eq!(rules_out(&head, id, unchanged), ruled_out, "{case}");
        }
    }
}
