//! A group of commits: one transaction, one sync.

use std::{sync::Arc, time::Duration};

use super::{
    Writer, lock, rollback, run_cached,
    settle::{is_full, refused},
};
use crate::{
    CommitError, Committed,
    engine::RawCommit,
    sqlite::{
        point::Point,
        queue::{Inbox, Waiting, Work},
        schema::{count_commits, set_ceiling},
    },
};

/// Commits of one group.
const GROUP: usize = 512;
/// Bytes of one group.
pub(super) const GROUP_BYTES: usize = 16 << 20;
/// The longest time for which a group waits for company.
const LONGEST_REST: Duration = Duration::from_micros(200);
/// On a disk so fast that this would be too long a group begins at once.
const SHORTEST_REST: Duration = Duration::from_micros(40);

pub(super) type Outcome = Result<Committed, CommitError>;

/// Why a group was not committed.
enum Failure {
    /// The transaction could not begin: nothing happened, and commits one by one would fare no better.
    Begin(rusqlite::Error),
    /// `COMMIT` itself failed: it may or may not have happened. If it did, these are the answers, and so many commits were
    /// counted.
    Commit(rusqlite::Error, Vec<Outcome>, u64),
    /// Something failed before, and everything was rolled back.
    Statement(rusqlite::Error),
}

/// How the last group went, by which the next one waits for company.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub(super) commits: usize,
    pub(super) took: Duration,
}

impl Pace {
    /// Those who were answered together come back together, but not in the instant in which the first of them is here: a
    /// group for him alone would keep all others waiting for a sync. So the writer rests for a part of what a group takes.
    fn rest(self) -> Duration {
        let rest = (self.took / 4).min(LONGEST_REST);
        if rest < SHORTEST_REST { Duration::ZERO } else { rest }
    }
}

/// Commits that share a transaction.
struct Group {
    waiting: Vec<Waiting>,
    bytes: usize,
}

impl Group {
    fn of(first: Waiting) -> Self {
        Self { bytes: first.commit.bytes, waiting: vec![first] }
    }

    /// Takes what waits, as long as there is room. Returns work of another kind that came up; a commit that has no room
    /// is left in `next`.
    fn drain(&mut self, inbox: &Inbox, next: &mut Option<Waiting>) -> Option<Work> {
        while self.waiting.len() < GROUP && self.bytes < GROUP_BYTES {
            match inbox.works.try_recv() {
                Ok(Work::Commit(waiting)) if self.bytes + waiting.commit.bytes > GROUP_BYTES => {
                    *next = Some(waiting);
                    return None;
                }
                Ok(Work::Commit(waiting)) => {
                    self.bytes += waiting.commit.bytes;
                    self.waiting.push(waiting);
                }
                Ok(work) => return Some(work),
                Err(_) => return None,
            }
        }
        None
    }
}

impl Writer {
    /// Drains commits into one transaction. Returns work of another kind that came up. `rest` lets a time pass.
    pub(super) fn group(
        &mut self,
        first: Waiting,
        inbox: &Inbox,
        next: &mut Option<Waiting>,
        rest: impl FnOnce(Duration),
    ) -> Option<Work> {
        let mut group = Group::of(first);
        let mut other = group.drain(inbox, next);
        if other.is_none() && next.is_none() && group.waiting.len() < self.state.pace.commits {
            rest(self.state.pace.rest());
            other = group.drain(inbox, next);
        }
        let mut group = group.waiting;
        group.retain(Waiting::take);
        if self.brake.pause() {
            self.make_room();
        }
        let commits: Vec<Arc<RawCommit>> = group.iter().map(|waiting| Arc::clone(&waiting.commit)).collect();
        let begun = self.clock.monotonic();
        let outcomes = self.write(&commits);
        // In memory nothing is won by larger groups.
        if self.counter.is_some() {
            self.state.pace =
                Pace { commits: commits.len(), took: self.clock.monotonic().saturating_duration_since(begun) };
        }
        for outcome in outcomes.iter().flatten().filter(|done| !done.repeated) {
            self.feed.announce(&outcome.appended);
            self.state.fresh.add(outcome.appended.len());
        }
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            // Whoever asked may have stopped waiting.
            let _ = waiting.answer.send(outcome);
        }
        // Failing here means nothing any more.
        let _ = self.faults.reach(Point::Answered, &self.conn());
        other
    }

    pub(super) fn write(&mut self, commits: &[Arc<RawCommit>]) -> Vec<Outcome> {
        let one_by_one = commits.len() > 1;
        match self.transaction(commits) {
            Ok(outcomes) => {
                if std::mem::take(&mut self.state.full) {
                    tracing::info!("there is space on the disk again");
                }
                outcomes
            }
            Err(Failure::Begin(error)) => {
                tracing::error!(%error, "SQLite does not let us write");
                commits.iter().map(|_| Err(CommitError::unavailable())).collect()
            }
            // A transaction whose frames had no room is not there, whether that showed in a statement or in `COMMIT`.
            Err(Failure::Statement(error) | Failure::Commit(error, ..)) if is_full(&error) && !one_by_one => {
                if !std::mem::replace(&mut self.state.full, true) {
                    tracing::error!(%error, "the disk is full: commits are refused until there is space");
                }
                vec![Err(CommitError::unavailable())]
            }
            Err(Failure::Commit(error, ..)) if is_full(&error) => {
                commits.iter().flat_map(|one| self.write(std::slice::from_ref(one))).collect()
            }
            Err(Failure::Statement(error)) if one_by_one => {
                if !self.state.full {
                    tracing::warn!(%error, "a group of commits failed, now one by one");
                }
                commits.iter().flat_map(|one| self.write(std::slice::from_ref(one))).collect()
            }
            Err(Failure::Statement(error)) => commits.iter().map(|commit| Err(refused(&error, commit))).collect(),
            Err(Failure::Commit(error, outcomes, counted)) => {
                tracing::error!(%error, "SQLite failed at the end of a commit");
                self.resolve(commits, outcomes, counted)
            }
        }
    }

    fn transaction(&mut self, commits: &[Arc<RawCommit>]) -> Result<Vec<Outcome>, Failure> {
        let conn = lock(&self.conn);
        run_cached(&conn, "BEGIN IMMEDIATE").map_err(Failure::Begin)?;
        let mut run = || {
            self.faults.reach(Point::Begun, &conn)?;
            let (mut outcomes, mut done) = (Vec::with_capacity(commits.len()), 0);
            for commit in commits {
                let outcome = self.applier.apply(&conn, commit)?;
                self.faults.reach(Point::Written, &conn)?;
                done += u64::from(outcome.as_ref().is_ok_and(|done| !done.repeated));
                outcomes.push(outcome);
            }
            let counted = if done > 0 { Some(count_commits(&conn, done)?) } else { None };
            let ceiling = self.applier.hybrid.ceiling_to_write();
            if let Some(ceiling) = ceiling {
                set_ceiling(&conn, ceiling)?;
            }
            Ok((outcomes, counted, ceiling))
        };
        let (outcomes, counted, ceiling) = run()
            .map_err(|error| {
                rollback(&conn);
                Failure::Statement(error)
            })
            .inspect_err(|_| self.applier.forget())?;
        let end = || {
            self.faults.reach(Point::Committing, &conn)?;
            run_cached(&conn, "COMMIT")?;
            self.faults.reach(Point::Committed, &conn)
        };
        if let Err(error) = end() {
            rollback(&conn);
            self.applier.forget();
            return Err(match counted {
                Some(counted) => Failure::Commit(error, outcomes, counted),
                // Nothing of a commit was in it.
                None => Failure::Statement(error),
            });
        }
        if let Some(ceiling) = ceiling {
            self.applier.hybrid.ceiling_written(ceiling);
        }
        if let Some(counted) = counted {
            if let Some(counter) = &mut self.counter {
                counter.note(counted);
            }
            // Failing here means nothing any more.
            let _ = self.faults.reach(Point::Counted, &conn);
            self.brake.wrote();
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_waits_for_company_for_a_part_of_what_the_last_one_took() {
        let rest = |took| Pace { commits: 16, took: Duration::from_micros(took) }.rest();
        assert_eq!(rest(400), Duration::from_micros(100));
        assert_eq!(rest(5_000), LONGEST_REST, "a slow disk is no reason to wait long");
        assert_eq!(rest(100), Duration::ZERO, "nor is a fast one, on which the wait would be the larger part");
        assert_eq!(Pace::default().rest(), Duration::ZERO);
    }
}
