//! Logs: ordered entries with ids, for notification streams, queues and outboxes.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use types::Timestamp;

use crate::{
    EntryId, LogRef, ReadError,
    engine::{EntryPage, LogQuery, LogRange},
    limits::{self, Limit},
    store::Inner,
};

/// An entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// By what a repetition is recognised.
    pub key: Bytes,
    /// What readers filter by.
    pub meta: Bytes,
    /// The content, if it has one.
    pub body: Option<Bytes>,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// Part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Entries with their ids, in the order asked for. No key occurs twice in one batch; in two it may.
    pub entries: Vec<(EntryId, Entry)>,
    /// The cursor to go on from: the last id that was looked at. What was handed in if there was nothing.
    pub next: Option<EntryId>,
    /// Whether there are more.
    pub more: bool,
    /// Whether an entry behind the cursor has expired. Told for the `memory` of the kind of log at least.
    pub lost: bool,
}

/// One log.
#[derive(Clone, Debug)]
pub struct Log {
    pub(crate) store: Arc<Inner>,
    pub(crate) log: LogRef,
}

impl Log {
    /// Which log it is.
    pub fn reference(&self) -> &LogRef {
        &self.log
    }

    /// Entries after a cursor, or from the beginning, oldest first; at most `limit` (and [`limits::PAGE_ITEMS`], and
    /// about [`limits::PAGE_BYTES`]). A cursor need not be the id of an entry.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_after(&self, cursor: Option<EntryId>, limit: usize) -> Result<Batch, ReadError> {
        let page = self.page(LogRange::After(cursor), limit).await?;
        Ok(batch(page, cursor))
    }

    /// Entries before a cursor, or from the end, newest first.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_before(&self, cursor: Option<EntryId>, limit: usize) -> Result<Batch, ReadError> {
        let page = self.page(LogRange::Before(cursor), limit).await?;
        Ok(batch(page, cursor))
    }

    /// The entry with that id, unless it has expired. Answers also whether a client's `since` is still there.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn get(&self, id: EntryId) -> Result<Option<Entry>, ReadError> {
        let page = self.page(LogRange::Only(id), 1).await?;
        Ok(page.entries.into_iter().next().map(|(_, entry)| entry))
    }

    /// The newest id.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn newest(&self) -> Result<Option<EntryId>, ReadError> {
        let page = self.page(LogRange::Before(None), 1).await?;
        Ok(page.entries.first().map(|(id, _)| *id))
    }

    /// Forgets the entries up to and with `upto`. They do not count as lost.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn trim(&self, upto: EntryId) -> Result<(), ReadError> {
        self.check()?;
        self.store.engine.trim(&self.log, upto).await
    }

    async fn page(&self, range: LogRange, limit: usize) -> Result<EntryPage, ReadError> {
        self.check()?;
        let query = LogQuery {
            log: self.log.clone(),
            range,
            items: limit.clamp(1, limits::PAGE_ITEMS),
            bytes: limits::PAGE_BYTES,
            now: self.store.clock.now(),
        };
        self.store.engine.entries(&query).await
    }

    fn check(&self) -> Result<(), ReadError> {
        if self.log.bytes.len() > limits::NAME + 2 {
            return Err(ReadError::TooLarge { what: Limit::Name });
        }
        Ok(())
    }
}

fn batch(page: EntryPage, cursor: Option<EntryId>) -> Batch {
    let EntryPage { mut entries, more, lost } = page;
    let next = entries.last().map(|(id, _)| *id).or(cursor);
    let mut seen = HashSet::with_capacity(entries.len());
    entries.retain(|(_, entry)| seen.insert(entry.key.clone()));
    Batch { entries, next, more, lost }
}
