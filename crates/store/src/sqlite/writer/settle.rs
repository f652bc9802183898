//! What a failure of SQLite means for those who wait for their commits.

use std::{sync::Arc, time::Duration};

use rusqlite::ErrorCode;

use super::{Writer, group::Outcome, lock};
use crate::{
    CommitError,
    engine::RawCommit,
    sqlite::{
        point::Point,
        reader,
        schema::{counted_commits, set_ceiling},
    },
};

impl Writer {
    /// After `COMMIT` failed: opens the database anew, so that SQLite decides by its log what it holds; looks whether it
    /// counted the commits of the group; and writes, so that nothing of a transaction that failed can come back.
    ///
    /// The count decides for all of them, those without an aggregate too, since the group is one transaction.
    pub(super) fn resolve(&mut self, commits: &[Arc<RawCommit>], outcomes: Vec<Outcome>, counted: u64) -> Vec<Outcome> {
        match self.fence() {
            Ok(found) if found >= counted => {
                if let Some(counter) = &mut self.counter {
                    counter.note(counted);
                }
                self.brake.wrote();
                outcomes
            }
            Ok(_) => commits.iter().map(|_| Err(CommitError::unavailable())).collect(),
            Err(error) => {
                tracing::error!(%error, "SQLite could not be opened anew");
                commits.iter().map(|commit| Err(CommitError::OutcomeUnknown { id: commit.id })).collect()
            }
        }
    }

    fn fence(&mut self) -> Result<u64, rusqlite::Error> {
        let mut conn = lock(&self.conn);
        self.faults.reach(Point::Fencing, &conn)?;
        if let Some(reopen) = &self.reopen {
            *conn = reopen()?;
        }
        let found = counted_commits(&conn)?;
        let ceiling = self.applier.hybrid.ceiling_now(Duration::from_secs(10));
        set_ceiling(&conn, ceiling)?;
        self.applier.hybrid.ceiling_written(ceiling);
        Ok(found)
    }
}

pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// What the failure of one commit alone means.
pub(super) fn refused(error: &rusqlite::Error, commit: &RawCommit) -> CommitError {
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
