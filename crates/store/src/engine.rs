//! What an engine does, in bytes. Everything above it (types, encoding, limits, claims) is written once.

use std::{ops::Bound, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use types::Timestamp;
use uuid::Uuid;

use crate::{Cell, CommitError, CommitId, Committed, Entry, EntryId, LogRef, ReadError, Version, rows::Dir};

/// A place where aggregates, plain rows and logs are kept.
///
/// The promises are those of the crate's documentation. An engine gets commits that are within all limits.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The head of an aggregate: linearizable, so rows read afterwards are not older.
    async fn head(&self, query: &HeadQuery) -> Result<Head, ReadError>;

    /// A page of rows. Ends early at will, but never empty while there are rows.
    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError>;

    /// A page of a log. Ends early at will, but never empty while there are entries.
    async fn entries(&self, query: &LogQuery) -> Result<EntryPage, ReadError>;

    /// Does a commit, or says why not. Once begun it goes on when the caller goes away.
    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError>;

    /// Forgets the entries of a log up to and with `upto`.
    async fn trim(&self, log: &LogRef, upto: EntryId) -> Result<(), ReadError>;

    /// Removes what has expired and finishes what was left half done, for about that long. Changes no answer.
    async fn housekeep(&self, budget: Duration) -> Report;

    /// Names this opening of a store that the process has for itself: leases of another opening bind nobody. `None` where
    /// other processes use the store at the same time.
    fn opening(&self) -> Option<Uuid> {
        None
    }

    /// Finishes what was begun and closes. Later calls answer `Unavailable`.
    async fn close(&self);
}

/// An engine over another one, which passes on what it does not do itself: to make [`Store::wrapped`](crate::Store::wrapped)
/// fail, or to look on.
///
/// It does not say that it has the store for itself, as others may have the one beneath.
#[async_trait]
pub trait Forward: Send + Sync {
    /// The one beneath.
    fn inner(&self) -> &dyn Engine;

    /// As [`Engine::head`].
    async fn head(&self, query: &HeadQuery) -> Result<Head, ReadError> {
        self.inner().head(query).await
    }

    /// As [`Engine::rows`].
    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        self.inner().rows(query).await
    }

    /// As [`Engine::entries`].
    async fn entries(&self, query: &LogQuery) -> Result<EntryPage, ReadError> {
        self.inner().entries(query).await
    }

    /// As [`Engine::commit`].
    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        self.inner().commit(commit, deadline).await
    }

    /// As [`Engine::trim`].
    async fn trim(&self, log: &LogRef, upto: EntryId) -> Result<(), ReadError> {
        self.inner().trim(log, upto).await
    }

    /// As [`Engine::housekeep`].
    async fn housekeep(&self, budget: Duration) -> Report {
        self.inner().housekeep(budget).await
    }

    /// As [`Engine::close`].
    async fn close(&self) {
        self.inner().close().await;
    }
}

#[async_trait]
impl<T: Forward> Engine for T {
    async fn head(&self, query: &HeadQuery) -> Result<Head, ReadError> {
        Forward::head(self, query).await
    }

    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        Forward::rows(self, query).await
    }

    async fn entries(&self, query: &LogQuery) -> Result<EntryPage, ReadError> {
        Forward::entries(self, query).await
    }

    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        Forward::commit(self, commit, deadline).await
    }

    async fn trim(&self, log: &LogRef, upto: EntryId) -> Result<(), ReadError> {
        Forward::trim(self, log, upto).await
    }

    async fn housekeep(&self, budget: Duration) -> Report {
        Forward::housekeep(self, budget).await
    }

    async fn close(&self) {
        Forward::close(self).await;
    }
}

/// Which aggregate's head is asked for.
#[derive(Clone, Debug)]
pub struct HeadQuery {
    /// The kind, for errors.
    pub kind: &'static str,
    /// The aggregate.
    pub aggregate: Bytes,
}

/// What an aggregate knows of its own commits; empty for one that was never written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The version that the last of them made.
    pub version: Version,
    /// The last [`RECENT`](crate::limits::RECENT) of them, or all if there were fewer, oldest first, with the versions
    /// they made.
    pub recent: Vec<(CommitId, Version)>,
}

/// Where rows stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// In aggregates.
    Guarded,
    /// Beside them.
    Plain,
}

/// Which rows are asked for.
#[derive(Clone, Debug)]
pub struct RowQuery {
    /// The table, for errors.
    pub table: &'static str,
    /// Where it stands.
    pub space: Space,
    /// The aggregate or partition.
    pub part: Bytes,
    /// Where the range begins, in encoded keys with the table's tag.
    pub lower: Bound<Bytes>,
    /// Where it ends.
    pub upper: Bound<Bytes>,
    /// Which end comes first.
    pub dir: Dir,
    /// At most so many rows, from 1 on.
    pub items: usize,
    /// The page ends with the row that reaches so many bytes.
    pub bytes: usize,
    /// Rows that expire at or before this moment are absent.
    pub now: Timestamp,
}

/// A row as stored.
#[derive(Clone, Debug)]
pub struct RawRow {
    /// Key with the table's tag.
    pub key: Bytes,
    /// The value.
    pub cell: Cell,
    /// The version of the commit that wrote it.
    pub version: Version,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// A page of rows.
#[derive(Clone, Debug, Default)]
pub struct RowPage {
    /// The rows, in the order asked for.
    pub rows: Vec<RawRow>,
    /// Whether there may be more behind the last one.
    pub more: bool,
}

/// Which entries of a log are asked for.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// The log.
    pub log: LogRef,
    /// Which of them.
    pub range: LogRange,
    /// At most so many, from 1 on.
    pub items: usize,
    /// The page ends with the entry that reaches so many bytes.
    pub bytes: usize,
    /// Entries that expire at or before this moment are absent.
    pub now: Timestamp,
}

/// Which part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRange {
    /// Those after an id, or all, oldest first.
    After(Option<EntryId>),
    /// Those before an id, or all, newest first.
    Before(Option<EntryId>),
    /// The one with that id.
    Only(EntryId),
}

/// A page of a log.
#[derive(Clone, Debug, Default)]
pub struct EntryPage {
    /// The entries, in the order asked for; the same key may occur twice.
    pub entries: Vec<(EntryId, Entry)>,
    /// Whether there are more behind the last one.
    pub more: bool,
    /// Whether an entry within the range asked for has expired.
    pub lost: bool,
}

/// A commit within all limits, in bytes.
#[derive(Clone, Debug)]
pub struct RawCommit {
    /// Its identity.
    pub id: CommitId,
    /// The part that is conditional and isolated.
    pub aggregate: Option<RawAggregate>,
    /// Plain rows, each at most once.
    pub effects: Vec<RawEffect>,
    /// Bodies that appends share.
    pub bodies: Vec<Bytes>,
    /// Entries, in order.
    pub appends: Vec<RawAppend>,
    /// The moment by which expired rows are judged when expectations are checked.
    pub now: Timestamp,
    /// Bytes of everything.
    pub bytes: usize,
}

/// What a commit expects and writes in its aggregate.
#[derive(Clone, Debug)]
pub struct RawAggregate {
    /// The kind, for errors.
    pub kind: &'static str,
    /// The aggregate.
    pub bytes: Bytes,
    /// The version that the whole must still have.
    pub unchanged: Option<Version>,
    /// Rows that must still have a version, or be absent ([`Version::NEVER`]).
    pub expects: Vec<RawExpect>,
    /// Rows to put or delete, each at most once.
    pub writes: Vec<RawWrite>,
    /// When its version may be forgotten.
    pub forget: Option<Timestamp>,
}

/// A row that must have a version.
#[derive(Clone, Debug)]
pub struct RawExpect {
    /// The table, for errors.
    pub table: &'static str,
    /// Key with the table's tag.
    pub key: Bytes,
    /// The version, or [`Version::NEVER`] for a row that must be absent or expired.
    pub version: Version,
}

/// A guarded row to put, or to delete.
#[derive(Clone, Debug)]
pub struct RawWrite {
    /// The table, for errors.
    pub table: &'static str,
    /// Key with the table's tag.
    pub key: Bytes,
    /// The new value; `None` deletes.
    pub put: Option<RawPut>,
}

/// A plain row to put, or to delete.
#[derive(Clone, Debug)]
pub struct RawEffect {
    /// The table, for errors.
    pub table: &'static str,
    /// The partition, with the table's tag.
    pub part: Bytes,
    /// Key with the table's tag.
    pub key: Bytes,
    /// The new value; `None` deletes.
    pub put: Option<RawPut>,
}

/// A value to store.
#[derive(Clone, Debug)]
pub struct RawPut {
    /// The value.
    pub cell: Cell,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// An entry to append.
#[derive(Clone, Debug)]
pub struct RawAppend {
    /// The log.
    pub log: LogRef,
    /// The entry's key, by which readers recognise a repetition.
    pub key: Bytes,
    /// What readers filter by.
    pub meta: Bytes,
    /// The body.
    pub body: RawBody,
}

/// The body of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawBody {
    /// Its own.
    Inline(Bytes),
    /// None.
    None,
    /// The `n`th of the commit's bodies.
    Shared(usize),
}

/// What [`Engine::housekeep`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Expired guarded and plain rows removed.
    pub rows: u64,
    /// Expired entries removed.
    pub entries: u64,
    /// Logs whose last entry was removed.
    pub logs: u64,
    /// Shared bodies removed with their last entry.
    pub bodies: u64,
    /// Whether the budget ended before the work.
    pub more: bool,
}
