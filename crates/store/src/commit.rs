//! Commits: the only way to write.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::Timestamp;

use crate::{
    AggRef, Cell, CommitError, CommitId, Entry, EntryId, Guarded, Key, Life, LogKind, LogRef, Plain, Reason, Size,
    Value, Version, View,
    engine::{RawAggregate, RawAppend, RawBody, RawCommit, RawEffect, RawExpect, RawPut, RawWrite},
    key,
    limits::{self, Limit},
};

/// What is to be written, all of it or nothing: guarded rows of at most one aggregate, plain rows, and entries of
/// logs.
///
/// A mistake in composing it (a table of another aggregate, a row both put and deleted) and every limit are reported
/// by [`Store::commit`](crate::Store::commit), before any I/O.
#[derive(Debug)]
#[must_use = "a commit does nothing until it is handed to the store"]
pub struct Commit {
    id: Option<CommitId>,
    on: Option<(AggRef, Option<Version>)>,
    expects: Vec<RawExpect>,
    rows: BTreeMap<Bytes, Staged>,
    effects: BTreeMap<(Bytes, Bytes), Staged>,
    bodies: Vec<Bytes>,
    appends: Vec<(LogRef, NewEntry)>,
    fault: Option<CommitError>,
    nowhere: RowOpts,
}

#[derive(Debug)]
struct Staged {
    table: &'static str,
    size: Size,
    put: Option<Cell>,
    opts: RowOpts,
}

/// What else there is to say about a row that is put.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowOpts {
    expires: Option<Timestamp>,
}

impl RowOpts {
    /// From that moment on the row is absent.
    pub fn expires(&mut self, at: Timestamp) -> &mut Self {
        self.expires = Some(at);
        self
    }
}

/// An entry to append.
#[derive(Clone, Debug, Default)]
pub struct NewEntry {
    /// By what readers recognise a repetition. By default the commit's id and the number of the append in it.
    pub key: Option<Bytes>,
    /// What readers filter by.
    pub meta: Bytes,
    /// The content.
    pub body: NewBody,
}

/// The body of a new entry.
#[derive(Clone, Debug, Default)]
pub enum NewBody {
    /// Its own.
    Inline(Bytes),
    /// None.
    #[default]
    None,
    /// One that it shares with others of the same commit; see [`Commit::body`].
    Shared(BodyRef),
}

/// A body staged in a commit.
#[derive(Clone, Copy, Debug)]
pub struct BodyRef(usize);

impl Commit {
    /// On an opened aggregate, expecting it unchanged: for rules about sets.
    pub fn on(view: &View) -> Self {
        Self::with(Some((view.rows.aggregate.clone(), Some(view.version))))
    }

    /// On an aggregate, expecting only what is listed: for hot aggregates.
    pub fn at(aggregate: AggRef) -> Self {
        Self::with(Some((aggregate, None)))
    }

    /// Without an aggregate: effects and appends only. An empty one does nothing and costs nothing.
    pub fn free() -> Self {
        Self::with(None)
    }

    fn with(on: Option<(AggRef, Option<Version>)>) -> Self {
        Self {
            id: None,
            on,
            expects: Vec::new(),
            rows: BTreeMap::new(),
            effects: BTreeMap::new(),
            bodies: Vec::new(),
            appends: Vec::new(),
            fault: None,
            nowhere: RowOpts::default(),
        }
    }

    /// Gives the commit an id of the caller's, so that it can be sent again after
    /// [`OutcomeUnknown`](CommitError::OutcomeUnknown).
    pub fn id(mut self, id: CommitId) -> Self {
        self.id = Some(id);
        self
    }

    /// Expects that a row has this version, or is absent or expired if that is [`Version::NEVER`].
    pub fn expect<K: Key, V>(&mut self, table: &Guarded<K, V>, key: &K, version: Version) {
        self.check_table(table);
        self.expects.push(RawExpect { table: table.name, key: key::tagged(table.tag, key).into(), version });
    }

    /// Expects that a row is absent or expired.
    pub fn expect_absent<K: Key, V>(&mut self, table: &Guarded<K, V>, key: &K) {
        self.expect(table, key, Version::NEVER);
    }

    /// Puts a guarded row. Putting it again in the same commit replaces what was to be put.
    pub fn put<K: Key, V: Value>(&mut self, table: &Guarded<K, V>, key: &K, value: &V) -> &mut RowOpts {
        self.check_table(table);
        let staged = Staged::put(table.name, table.size, value.to_cell());
        let key = key::tagged(table.tag, key).into();
        stage(&mut self.rows, key, staged, &mut self.fault).unwrap_or(&mut self.nowhere)
    }

    /// Deletes a guarded row; that it is absent already is no error.
    pub fn delete<K: Key, V>(&mut self, table: &Guarded<K, V>, key: &K) {
        self.check_table(table);
        let key = key::tagged(table.tag, key).into();
        stage(&mut self.rows, key, Staged::delete(table.name), &mut self.fault);
    }

    /// Puts a plain row.
    pub fn effect_put<P: Key, K: Key, V: Value>(
        &mut self,
        table: &Plain<P, K, V>,
        part: &P,
        key: &K,
        value: &V,
    ) -> &mut RowOpts {
        let at = (key::tagged(table.tag, part).into(), key::tagged(table.tag, key).into());
        let staged = Staged::put(table.name, Size::Row, value.to_cell());
        stage(&mut self.effects, at, staged, &mut self.fault).unwrap_or(&mut self.nowhere)
    }

    /// Deletes a plain row.
    pub fn effect_delete<P: Key, K: Key, V>(&mut self, table: &Plain<P, K, V>, part: &P, key: &K) {
        let at = (key::tagged(table.tag, part).into(), key::tagged(table.tag, key).into());
        stage(&mut self.effects, at, Staged::delete(table.name), &mut self.fault);
    }

    /// A body for several entries of this commit; stored once, and kept until the last of them goes.
    pub fn body(&mut self, body: Bytes) -> BodyRef {
        self.bodies.push(body);
        BodyRef(self.bodies.len() - 1)
    }

    /// Appends an entry to a log. It gets its id when the commit is applied.
    pub fn append<I: Key>(&mut self, kind: &LogKind<I>, id: &I, entry: NewEntry) {
        self.appends.push((kind.of(id), entry));
    }

    /// Notes what makes the whole commit impossible; the first such thing is told.
    pub(crate) fn spoil(&mut self, fault: CommitError) {
        self.fault.get_or_insert(fault);
    }

    fn check_table<K, V>(&mut self, table: &Guarded<K, V>) {
        let reason = match &self.on {
            Some((aggregate, _)) if aggregate.tag == table.of => return,
            Some(_) => Reason::ForeignTable(table.name),
            None => Reason::NoAggregate(table.name),
        };
        self.spoil(CommitError::Refused(reason));
    }

    /// Whether there is nothing to do at all.
    pub(crate) fn is_nothing(&self) -> bool {
        self.on.is_none() && self.effects.is_empty() && self.appends.is_empty() && self.fault.is_none()
    }

    /// The commit in bytes, if it makes sense and is within all limits.
    pub(crate) fn into_raw(self, now: Timestamp, id: impl FnOnce() -> CommitId) -> Result<RawCommit, CommitError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut sum = Sum::default();
        let id = self.id.unwrap_or_else(id);
        sum.count(self.rows.len() + self.expects.len(), limits::ROWS, Limit::Rows)?;
        sum.count(self.effects.len(), limits::EFFECTS, Limit::Effects)?;
        sum.count(self.appends.len(), limits::APPENDS, Limit::Appends)?;
        let aggregate = match self.on {
            Some(on) => Some(raw_aggregate(on, self.expects, self.rows, now, &mut sum)?),
            None => None,
        };
        let mut effects = Vec::with_capacity(self.effects.len());
        for ((part, key), staged) in self.effects {
            sum.name(&part)?;
            sum.key(&key)?;
            sum.value(&staged)?;
            effects.push(RawEffect { table: staged.table, part, key, put: staged.raw(None) });
        }
        for body in &self.bodies {
            sum.within(body.len(), limits::BODY, Limit::Body)?;
        }
        let bodies = self.bodies.len();
        let mut appends = Vec::with_capacity(self.appends.len());
        for (n, (log, entry)) in self.appends.into_iter().enumerate() {
            sum.name(&log.bytes)?;
            let key = entry.key.unwrap_or_else(|| id.entry_key(n).into());
            let body = match entry.body {
                NewBody::Inline(bytes) => RawBody::Inline(bytes),
                NewBody::None => RawBody::None,
                NewBody::Shared(BodyRef(at)) if at < bodies => RawBody::Shared(at),
                NewBody::Shared(_) => return Err(CommitError::Refused(Reason::ForeignBody)),
            };
            let inline = if let RawBody::Inline(bytes) = &body { bytes.len() } else { 0 };
            sum.within(key.len() + entry.meta.len() + inline, limits::ENTRY, Limit::Entry)?;
            appends.push(RawAppend { log, key, meta: entry.meta, body });
        }
        if sum.bytes > limits::COMMIT {
            return Err(CommitError::TooLarge { what: Limit::Commit });
        }
        Ok(RawCommit { id, aggregate, effects, bodies: self.bodies, appends, now, bytes: sum.bytes })
    }
}

impl Staged {
    fn put(table: &'static str, size: Size, cell: Cell) -> Self {
        Self { table, size, put: Some(cell), opts: RowOpts::default() }
    }

    fn delete(table: &'static str) -> Self {
        Self { table, size: Size::Row, put: None, opts: RowOpts::default() }
    }

    fn raw(self, latest: Option<Timestamp>) -> Option<RawPut> {
        let expires = match (self.opts.expires, latest) {
            (Some(own), Some(latest)) => Some(own.min(latest)),
            (own, latest) => own.or(latest),
        };
        self.put.map(|cell| RawPut { cell, expires })
    }
}

fn stage<'a, K: Ord>(
    rows: &'a mut BTreeMap<K, Staged>,
    key: K,
    staged: Staged,
    fault: &mut Option<CommitError>,
) -> Option<&'a mut RowOpts> {
    if rows.get(&key).is_some_and(|before| before.put.is_some() != staged.put.is_some()) {
        fault.get_or_insert(CommitError::Refused(Reason::PutAndDelete(staged.table)));
        return None;
    }
    let slot = rows.entry(key).insert_entry(staged);
    Some(&mut slot.into_mut().opts)
}

fn raw_aggregate(
    (aggregate, unchanged): (AggRef, Option<Version>),
    expects: Vec<RawExpect>,
    rows: BTreeMap<Bytes, Staged>,
    now: Timestamp,
    sum: &mut Sum,
) -> Result<RawAggregate, CommitError> {
    sum.name(&aggregate.bytes)?;
    let latest = match aggregate.life {
        Life::Ephemeral(age) => Some(now + age),
        Life::Kept => None,
    };
    for expect in &expects {
        sum.key(&expect.key)?;
    }
    let mut writes = Vec::with_capacity(rows.len());
    let mut small = 0;
    for (key, staged) in rows {
        sum.key(&key)?;
        sum.value(&staged)?;
        if staged.size == Size::Row {
            small += key.len() - 2 + staged.put.as_ref().map_or(0, Cell::len);
        }
        writes.push(RawWrite { table: staged.table, key, put: staged.raw(latest) });
    }
    if small > limits::ROW_BYTES {
        return Err(CommitError::TooLarge { what: Limit::RowBytes });
    }
    let forget = latest.map(|latest| latest + limits::EPHEMERAL_MEMORY);
    Ok(RawAggregate { kind: aggregate.kind, bytes: aggregate.bytes, unchanged, expects, writes, forget })
}

/// Adds up the bytes of a commit.
#[derive(Default)]
struct Sum {
    bytes: usize,
}

impl Sum {
    fn count(&self, n: usize, most: usize, what: Limit) -> Result<(), CommitError> {
        if n > most { Err(CommitError::TooLarge { what }) } else { Ok(()) }
    }

    fn within(&mut self, n: usize, most: usize, what: Limit) -> Result<(), CommitError> {
        self.bytes += n;
        self.count(n, most, what)
    }

    /// Names and keys carry a tag of two bytes, which does not count.
    fn name(&mut self, bytes: &[u8]) -> Result<(), CommitError> {
        self.within(bytes.len() - 2, limits::NAME, Limit::Name)
    }

    fn key(&mut self, bytes: &[u8]) -> Result<(), CommitError> {
        self.within(bytes.len() - 2, limits::KEY, Limit::Key)
    }

    fn value(&mut self, staged: &Staged) -> Result<(), CommitError> {
        let (most, what) = match staged.size {
            Size::Large => (limits::LARGE_VALUE, Limit::LargeValue),
            Size::Row => (limits::VALUE, Limit::Value),
        };
        self.within(staged.put.as_ref().map_or(0, Cell::len), most, what)
    }
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The new version of the aggregate, or the hybrid time of a commit without one.
    pub version: Version,
    /// Its entries with the ids they got, in the order of staging.
    pub appended: Vec<Appended>,
    /// `false`: durable, but the engine failed before all effects were applied; they follow.
    pub settled: bool,
    /// The id was committed before; nothing was done again. Entries that are gone meanwhile are not listed.
    pub repeated: bool,
}

/// An entry that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where to.
    pub log: LogRef,
    /// Its id.
    pub id: EntryId,
    /// The entry before it: no acknowledged entry ever lies between the two.
    pub prev: Option<EntryId>,
    /// The entry.
    pub entry: Entry,
}
