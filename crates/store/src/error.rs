//! What can go wrong, one type for each thing one can ask of the store.

use std::{path::PathBuf, time::Duration};

use types::Domain;

use crate::{Clash, CommitId, limits::Limit};

/// Stored bytes are not what they should be. Where: see [`ReadError::Corrupt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {0}")]
pub struct Corrupt(pub &'static str);

/// Why something is not done whatever the state of the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// An append names a body of another commit.
    #[error("an append names a body that is not of this commit")]
    ForeignBody,
    /// The table belongs to another kind of aggregate.
    #[error("table {0} belongs to another kind of aggregate")]
    ForeignTable(&'static str),
    /// Guarded rows in a commit without an aggregate.
    #[error("guarded rows of {0} in a commit without an aggregate")]
    NoAggregate(&'static str),
    /// One row is both put and deleted.
    #[error("a row of {0} is both put and deleted")]
    PutAndDelete(&'static str),
    /// The table is not among those that the store was opened with.
    #[error("{0} is not declared")]
    Undeclared(&'static str),
    /// The store was opened for reading only.
    #[error("the store is read-only")]
    ReadOnly,
}

/// A read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A stored row or entry is damaged.
    #[error("table {table} is damaged at {key}")]
    Corrupt {
        /// The table, kind of aggregate or kind of log.
        table: &'static str,
        /// The key, as text or hexadecimal.
        key: String,
    },
    /// The question makes no sense in any state.
    #[error("refused: {0}")]
    Refused(Reason),
    /// A key or name is too long to exist.
    #[error("too large: {what}")]
    TooLarge {
        /// The limit.
        what: Limit,
    },
    /// The engine does not answer now.
    #[error("the store is not available, retry after {retry_after:?}")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
}

/// A commit was not done, or it is unknown whether it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// What was expected is no longer so. Nothing happened and nothing will: open again.
    #[error("the aggregate has changed")]
    Conflict,
    /// A stored row that had to be read is damaged. Nothing happened.
    #[error("table {table} is damaged at {key}")]
    Corrupt {
        /// The table, kind of aggregate or kind of log.
        table: &'static str,
        /// The key, as text or hexadecimal.
        key: String,
    },
    /// Rare: the engine failed at the moment of committing. The same commit may be sent again under the same id.
    #[error("the outcome of commit {id} is unknown")]
    OutcomeUnknown {
        /// The commit.
        id: CommitId,
    },
    /// The commit makes no sense in any state. Nothing happened; no I/O was done.
    #[error("refused: {0}")]
    Refused(Reason),
    /// Over a limit. Nothing happened; no I/O was done.
    #[error("too large: {what}")]
    TooLarge {
        /// The limit.
        what: Limit,
    },
    /// The queue is full, the disk is full, or the engine does not answer. Nothing happened and nothing will: this time, if
    /// the commit was sent before.
    #[error("the store is not available, retry after {retry_after:?}")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
}

/// [`Store::update`](crate::Store::update) did not come to an end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError<E> {
    /// The commit failed; [`CommitError::Conflict`] when all tries met another's commit.
    #[error(transparent)]
    Commit(CommitError),
    /// The caller's own decision not to go on.
    #[error(transparent)]
    Decide(E),
    /// The aggregate could not be opened.
    #[error(transparent)]
    Read(ReadError),
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The tables it is opened with contradict each other.
    #[error("the tables of this release contradict each other: {0}")]
    Clash(#[from] Clash),
    /// What is stored there is not a store, or damaged beyond opening.
    #[error("{} is not a store, or damaged: {reason}", .folder.display())]
    Damaged {
        /// The data folder.
        folder: PathBuf,
        /// What the engine says.
        reason: String,
    },
    /// A backup was being put into the folder, or a dump loaded, and that did not come to its end.
    #[error(
        "restoring or loading into the data folder {} was interrupted: do it again, with --replace if it says so",
        .folder.display()
    )]
    HalfRestored {
        /// The data folder.
        folder: PathBuf,
    },
    /// Another process, or another part of this one, has the folder open for writing.
    #[error("the data folder {} is in use by another process", .folder.display())]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// The folder or a file in it cannot be made, read or locked.
    #[error("the data folder {} cannot be used", .folder.display())]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Commits that were acknowledged are not in the database any more: its log was lost or damaged. Nothing was changed.
    #[error(
        "the store in {} has lost its last {} commits: it counts {found}, and {counted} were acknowledged. Put its file \
         store.sqlite-wal back, or restore a backup; to go on without them remove {}",
        .folder.display(), .counted - .found, .counter.display()
    )]
    LostCommits {
        /// The data folder.
        folder: PathBuf,
        /// The file of the counter.
        counter: PathBuf,
        /// Commits that the database counts.
        found: u64,
        /// Commits that were acknowledged at least.
        counted: u64,
    },
    /// Written by a newer release, whose format this one does not know.
    #[error("the store has format {found}, this release knows formats up to {known}: use a newer release")]
    NewerFormat {
        /// The format of the store.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// SQLite before 3.51.3 can damage a database when several connections checkpoint.
    #[error("SQLite {found} is too old: at least 3.51.3 is needed")]
    OldSqlite {
        /// The version linked.
        found: &'static str,
    },
    /// The store belongs to another backend domain, which can never be changed.
    #[error("the store belongs to domain {stored}, not to {asked}")]
    OtherDomain {
        /// The domain that the store was made for, as it is written there.
        stored: String,
        /// The domain it was opened for.
        asked: Domain,
    },
}

impl ReadError {
    pub(crate) fn unavailable() -> Self {
        Self::Unavailable { retry_after: crate::limits::RETRY_AFTER }
    }
}

impl CommitError {
    pub(crate) fn unavailable() -> Self {
        Self::Unavailable { retry_after: crate::limits::RETRY_AFTER }
    }
}

/// A read on the way to a commit: nothing was written yet.
impl From<ReadError> for CommitError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt { table, key } => Self::Corrupt { table, key },
            ReadError::Refused(reason) => Self::Refused(reason),
            ReadError::TooLarge { what } => Self::TooLarge { what },
            ReadError::Unavailable { retry_after } => Self::Unavailable { retry_after },
        }
    }
}
