//! The one thread that writes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};
use types::Clock;

use super::{
    apply::Applier,
    checkpoint::Brake,
    queue::{Inbox, Waiting, Work},
    reader, remove,
    schema::set_ceiling,
};
use crate::{CommitError, Committed, EntryId, LogRef, ReadError, engine::RawCommit, engine::Report, watch::Feed};

/// Commits of one group.
const GROUP: usize = 512;
/// Bytes of one group.
const GROUP_BYTES: usize = 16 << 20;
/// Housekeeping gives way when more work than this waits.
const BUSY: usize = 16;

type Outcome = Result<Committed, CommitError>;

/// Everything the writing thread has.
pub(super) struct Writer {
    /// Shared with the readers when the store is in memory, where there is one connection for all. Locked for a whole
    /// transaction, so that nobody sees half of one.
    pub(super) conn: Arc<Mutex<Connection>>,
    /// Opens the database anew, after a commit failed at its very end. `None` for a store in memory.
    pub(super) reopen: Option<Box<dyn Fn() -> Result<Connection, rusqlite::Error> + Send>>,
    pub(super) applier: Applier,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) feed: Feed,
    pub(super) brake: Arc<Brake>,
}

/// Why a group was not committed.
enum Failure {
    /// The transaction could not begin: nothing happened, and commits one by one would fare no better.
    Begin(rusqlite::Error),
    /// `COMMIT` itself failed: it may or may not have happened.
    Commit(rusqlite::Error),
    /// Something failed before, and everything was rolled back.
    Statement(rusqlite::Error),
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self, inbox: &Inbox) {
        let mut next = inbox.works.recv().ok();
        while let Some(work) = next.take() {
            inbox.took();
            match work {
                Work::Commit(first) => next = self.group(first, inbox),
                Work::Housekeep { budget, answer } => {
                    // Whoever asked may be gone; the work is done all the same.
                    let _ = answer.send(self.housekeep(budget, inbox));
                }
                Work::Trim { log, upto, answer } => {
                    let _ = answer.send(self.trim(&log, upto));
                }
            }
            if next.is_none() {
                next = inbox.works.recv().ok();
            }
        }
        let ceiling = self.applier.hybrid.ceiling_now(Duration::ZERO);
        if let Err(error) = set_ceiling(&self.conn(), ceiling) {
            tracing::warn!(%error, "the clock's ceiling stays some seconds ahead");
        }
    }

    fn conn(&self) -> MutexGuard<'_, Connection> {
        lock(&self.conn)
    }

    /// Drains commits into one transaction. Returns work of another kind that came up.
    fn group(&mut self, first: Waiting, inbox: &Inbox) -> Option<Work> {
        let mut bytes = first.commit.bytes;
        let mut group = vec![first];
        let mut other = None;
        while group.len() < GROUP && bytes < GROUP_BYTES {
            match inbox.works.try_recv() {
                Ok(Work::Commit(waiting)) => {
                    inbox.took();
                    bytes += waiting.commit.bytes;
                    group.push(waiting);
                }
                Ok(work) => {
                    other = Some(work);
                    break;
                }
                Err(_) => break,
            }
        }
        group.retain(Waiting::take);
        if self.brake.pause() {
            self.make_room();
        }
        let commits: Vec<Arc<RawCommit>> = group.iter().map(|waiting| Arc::clone(&waiting.commit)).collect();
        let outcomes = self.write(&commits);
        for outcome in outcomes.iter().flatten().filter(|done| !done.repeated) {
            self.feed.announce(&outcome.appended);
        }
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            // Whoever asked may have stopped waiting.
            let _ = waiting.answer.send(outcome);
        }
        other
    }

    fn write(&mut self, commits: &[Arc<RawCommit>]) -> Vec<Outcome> {
        match self.transaction(commits) {
            Ok(outcomes) => outcomes,
            Err(Failure::Begin(error)) => {
                tracing::error!(%error, "SQLite does not let us write");
                commits.iter().map(|_| Err(CommitError::unavailable())).collect()
            }
            Err(Failure::Statement(error)) if commits.len() > 1 => {
                tracing::warn!(%error, "a group of commits failed, now one by one");
                commits.iter().flat_map(|one| self.write(std::slice::from_ref(one))).collect()
            }
            Err(Failure::Statement(error)) => commits.iter().map(|commit| Err(refused(&error, commit))).collect(),
            Err(Failure::Commit(error)) => {
                tracing::error!(%error, "SQLite failed at the end of a commit");
                self.resolve(commits)
            }
        }
    }

    fn transaction(&mut self, commits: &[Arc<RawCommit>]) -> Result<Vec<Outcome>, Failure> {
        let conn = lock(&self.conn);
        conn.execute_batch("BEGIN IMMEDIATE").map_err(Failure::Begin)?;
        let mut wrote = false;
        let mut run = || {
            let mut outcomes = Vec::with_capacity(commits.len());
            for commit in commits {
                let outcome = self.applier.apply(&conn, commit)?;
                wrote |= outcome.as_ref().is_ok_and(|done| !done.repeated);
                outcomes.push(outcome);
            }
            let ceiling = self.applier.hybrid.ceiling_to_write();
            if let Some(ceiling) = ceiling {
                set_ceiling(&conn, ceiling)?;
            }
            Ok((outcomes, ceiling))
        };
        let (outcomes, ceiling) = run()
            .map_err(|error| {
                rollback(&conn);
                Failure::Statement(error)
            })
            .inspect_err(|_| self.applier.forget())?;
        if let Err(error) = conn.execute_batch("COMMIT") {
            rollback(&conn);
            self.applier.forget();
            return Err(Failure::Commit(error));
        }
        if let Some(ceiling) = ceiling {
            self.applier.hybrid.ceiling_written(ceiling);
        }
        if wrote {
            self.brake.wrote();
        }
        Ok(outcomes)
    }

    /// After `COMMIT` failed: opens the database anew, so that SQLite decides by its log what it holds; writes, so that
    /// nothing of the failed transaction can come back; and looks for the commits in the heads of their aggregates.
    fn resolve(&mut self, commits: &[Arc<RawCommit>]) -> Vec<Outcome> {
        let unknown = |commit: &RawCommit| Err(CommitError::OutcomeUnknown { id: commit.id });
        if let Err(error) = self.fence() {
            tracing::error!(%error, "SQLite could not be opened anew");
            return commits.iter().map(|commit| unknown(commit)).collect();
        }
        let conn = lock(&self.conn);
        let look = |commit: &Arc<RawCommit>| {
            let Some(aggregate) = &commit.aggregate else { return unknown(commit) };
            match reader::head(&conn, aggregate.kind, &aggregate.bytes) {
                Ok(head) if head.recent.iter().any(|(id, _)| *id == commit.id) => {
                    self.applier.apply(&conn, commit).unwrap_or_else(|_| unknown(commit))
                }
                Ok(_) => Err(CommitError::unavailable()),
                Err(_) => unknown(commit),
            }
        };
        commits.iter().map(look).collect()
    }

    fn fence(&mut self) -> Result<(), rusqlite::Error> {
        let mut conn = lock(&self.conn);
        if let Some(reopen) = &self.reopen {
            *conn = reopen()?;
        }
        let ceiling = self.applier.hybrid.ceiling_now(Duration::from_secs(10));
        set_ceiling(&conn, ceiling)?;
        self.applier.hybrid.ceiling_written(ceiling);
        Ok(())
    }

    /// Lets the log of SQLite begin from its start again, waiting for readers of older states.
    fn make_room(&self) {
        let done = self.conn().query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0));
        match done {
            Ok(0) => self.brake.emptied(),
            Ok(_) => tracing::warn!("a long read keeps the log of SQLite growing"),
            Err(error) => tracing::warn!(%error, "a checkpoint of SQLite failed"),
        }
    }

    fn housekeep(&mut self, budget: Duration, inbox: &Inbox) -> Report {
        let (mut sum, started) = (Report::default(), self.clock.monotonic());
        loop {
            let now = self.clock.now();
            match self.removal(|conn| remove::expired(conn, now)) {
                Ok(report) => {
                    sum.rows += report.rows;
                    sum.entries += report.entries;
                    sum.bodies += report.bodies;
                    sum.more = report.more;
                }
                Err(error) => {
                    tracing::warn!(%error, "removing what has expired failed");
                    sum.more = true;
                    return sum;
                }
            }
            let spent = self.clock.monotonic().saturating_duration_since(started);
            if !sum.more || spent >= budget || inbox.depth() > BUSY {
                return sum;
            }
        }
    }

    fn trim(&mut self, log: &LogRef, upto: EntryId) -> Result<(), ReadError> {
        loop {
            let node = self.applier.node;
            match self.removal(|conn| remove::trimmed(conn, node, log, upto)) {
                Ok(report) if report.more => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(reader::failed(&error, log.kind, &log.bytes)),
            }
        }
    }

    fn removal(
        &mut self,
        remove: impl FnOnce(&Connection) -> Result<Report, rusqlite::Error>,
    ) -> Result<Report, rusqlite::Error> {
        let conn = lock(&self.conn);
        conn.execute_batch("BEGIN IMMEDIATE")?;
        let done = remove(&conn).and_then(|report| conn.execute_batch("COMMIT").map(|()| report));
        if done.is_err() {
            rollback(&conn);
        }
        // Names of logs may be gone.
        self.applier.forget();
        self.brake.wrote();
        done
    }
}

fn lock(conn: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    conn.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rollback(conn: &Connection) {
    // SQLite may have rolled back by itself already.
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "SQLite does not roll back");
    }
}

/// What the failure of one commit alone means.
fn refused(error: &rusqlite::Error, commit: &RawCommit) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            let (table, key): (&str, &[u8]) = match (&commit.aggregate, commit.effects.first(), commit.appends.first())
            {
                (Some(aggregate), _, _) => (aggregate.kind, &aggregate.bytes),
                (_, Some(effect), _) => (effect.table, &effect.part),
                (_, _, Some(append)) => (append.log.kind, &append.log.bytes),
                (None, None, None) => ("store", &[]),
            };
            reader::corrupt(table, key).into()
        }
        _ => {
            tracing::error!(%error, "SQLite refuses a commit");
            CommitError::unavailable()
        }
    }
}
