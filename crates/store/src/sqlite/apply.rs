//! What one commit does inside a transaction.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use rusqlite::{Connection, Statement, params};
use types::Timestamp;

use super::{
    extent::{Extent, log_no},
    reader,
};
use crate::{
    Appended, Cell, CommitError, Committed, Entry, EntryId, LogRef, Version, checksum,
    engine::{Head, LogQuery, LogRange, RawAggregate, RawAppend, RawBody, RawCommit, RawPut},
    hybrid::Hybrid,
    id::tick_of_version,
    limits,
};

/// How many logs' ends are remembered.
const LOGS: usize = 16_384;

/// Applies commits. Keeps what it learnt of the ends of logs, which nobody else writes.
pub(super) struct Applier {
    pub(super) hybrid: Hybrid,
    pub(super) node: u64,
    logs: HashMap<Bytes, LogEnd>,
}

#[derive(Clone, Copy)]
struct LogEnd {
    no: i64,
    /// The last position used, whether or not its entry is still there.
    pos: i64,
    /// The tick of the last entry.
    tick: Option<u64>,
    /// Whether there is no entry now, so that the next one is the oldest.
    empty: bool,
}

/// `Err(rusqlite::Error)`: the transaction must be rolled back. `Ok(Err(_))`: nothing was written.
pub(super) type Applied = Result<Result<Committed, CommitError>, rusqlite::Error>;

impl Applier {
    pub(super) fn new(hybrid: Hybrid, node: u64) -> Self {
        Self { hybrid, node, logs: HashMap::new() }
    }

    /// Forgets what was learnt, because a transaction was rolled back or entries were removed.
    pub(super) fn forget(&mut self) {
        self.logs.clear();
    }

    /// Checks all expectations first, then writes.
    pub(super) fn apply(&mut self, conn: &Connection, commit: &RawCommit) -> Applied {
        let mut head = None;
        if let Some(aggregate) = &commit.aggregate {
            let found = match reader::head(conn, aggregate.kind, &aggregate.bytes) {
                Ok(found) => found,
                Err(error) => return Ok(Err(error.into())),
            };
            if let Some((_, version)) = found.recent.iter().find(|(id, _)| *id == commit.id) {
                return Ok(self.repeated(conn, commit, *version));
            }
            if let Err(error) = check(conn, aggregate, &found, commit.now) {
                return Ok(Err(error));
            }
            head = Some(found);
        }
        let version = self.hybrid.version();
        if let (Some(aggregate), Some(mut head)) = (&commit.aggregate, head) {
            for write in &aggregate.writes {
                write_row(conn, "rows", &aggregate.bytes, &write.key, version, write.put.as_ref())?;
            }
            head.recent.push((commit.id, version));
            let surplus = head.recent.len().saturating_sub(limits::RECENT);
            head.recent.drain(..surplus);
            let put = RawPut { cell: head.cell(), expires: aggregate.forget };
            write_row(conn, "rows", &aggregate.bytes, Head::KEY, version, Some(&put))?;
        }
        for effect in &commit.effects {
            write_row(conn, "plain", &effect.part, &effect.key, version, effect.put.as_ref())?;
        }
        let bodies = write_bodies(conn, commit)?;
        let mut appended = Vec::with_capacity(commit.appends.len());
        if !commit.appends.is_empty() {
            let mut insert = conn.prepare_cached(
                "INSERT INTO fresh(pos, tick, key, meta, body, body_ref, expires, crc) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
            )?;
            for append in &commit.appends {
                appended.push(self.append(conn, &mut insert, commit, append, &bodies)?);
            }
        }
        Ok(Ok(Committed { version, appended, settled: true, repeated: false }))
    }

    fn append(
        &mut self,
        conn: &Connection,
        insert: &mut Statement<'_>,
        commit: &RawCommit,
        append: &RawAppend,
        bodies: &HashMap<usize, i64>,
    ) -> Result<Appended, rusqlite::Error> {
        let log = &append.log;
        let id = EntryId::new(self.hybrid.tick(), self.node);
        // By the time of the id, so that expiries rise with positions.
        let expires = log.ttl.map(|ttl| id.time() + ttl);
        let mut end = self.end(conn, log, expires)?;
        let prev = end.tick.map(|tick| EntryId::new(tick, self.node));
        let (inline, shared, body) = match &append.body {
            RawBody::Inline(bytes) => (Some(&bytes[..]), None, Some(bytes.clone())),
            RawBody::None => (None, None, None),
            RawBody::Shared(at) => (None, bodies.get(at).copied(), commit.bodies.get(*at).cloned()),
        };
        let crc = checksum::entry((&log.bytes, id.tick()), &append.key, &append.meta, inline, shared, expires);
        if end.pos & 0xffff_ffff == 0xffff_ffff {
            return Err(rusqlite::Error::IntegralValueOutOfRange(0, end.pos));
        }
        end.pos += 1;
        insert.execute(params![
            end.pos,
            id.tick().cast_signed(),
            &append.key[..],
            &append.meta[..],
            inline,
            shared,
            expires.map(Timestamp::micros),
            crc
        ])?;
        if end.empty {
            conn.prepare_cached("UPDATE log_name SET due = ?2, memory = ?3 WHERE no = ?1")?.execute((
                end.no,
                due(log, expires),
                memory(log),
            ))?;
        }
        end.tick = Some(id.tick());
        end.empty = false;
        match self.logs.get_mut(&log.bytes) {
            Some(known) => *known = end,
            None => drop(self.logs.insert(log.bytes.clone(), end)),
        }
        let entry = Entry { key: append.key.clone(), meta: append.meta.clone(), body, expires };
        Ok(Appended { log: log.clone(), id, prev, entry })
    }

    /// Where a log ends. One that is new begins with an entry that expires then.
    fn end(&mut self, conn: &Connection, log: &LogRef, expires: Option<Timestamp>) -> Result<LogEnd, rusqlite::Error> {
        if let Some(end) = self.logs.get(&log.bytes) {
            return Ok(*end);
        }
        if self.logs.len() >= LOGS {
            self.logs.clear();
        }
        let Some(no) = log_no(conn, &log.bytes)? else {
            // Its number may have been another log's, but not before all entries of that were gone.
            conn.prepare_cached("INSERT INTO log_name(name, memory, due) VALUES (?1, ?2, ?3)")?.execute((
                &log.bytes[..],
                memory(log),
                due(log, expires),
            ))?;
            let no = conn.last_insert_rowid();
            return Ok(LogEnd { no, pos: no << 32, tick: None, empty: false });
        };
        let extent = Extent::of(conn, no)?;
        let last = extent.last(conn, extent.range().1)?;
        Ok(LogEnd {
            no,
            pos: last.map_or(no << 32, |(pos, _)| pos),
            tick: last.map(|(_, tick)| tick),
            empty: last.is_none(),
        })
    }

    /// The answer to a commit that was done before, with those of its entries that are still there.
    fn repeated(&self, conn: &Connection, commit: &RawCommit, version: Version) -> Result<Committed, CommitError> {
        // Its entries got their ids after its version.
        let from = EntryId::new(tick_of_version(version), 0);
        let mut wanted: HashMap<&LogRef, HashSet<&Bytes>> = HashMap::new();
        for append in &commit.appends {
            wanted.entry(&append.log).or_default().insert(&append.key);
        }
        let mut found = HashMap::new();
        for (log, mut keys) in wanted {
            let mut prev = self.before(conn, log, from)?;
            let mut cursor = Some(from);
            while !keys.is_empty() {
                let page = reader::entries_within(conn, self.node, &page_after(log, cursor, commit.now))?;
                for (id, entry) in page.entries {
                    cursor = Some(id);
                    if keys.remove(&entry.key) {
                        let key = (log, entry.key.clone());
                        found.insert(key, Appended { log: log.clone(), id, prev, entry });
                    }
                    prev = Some(id);
                }
                if !page.more {
                    break;
                }
            }
        }
        let appended = commit.appends.iter().filter_map(|a| found.get(&(&a.log, a.key.clone())).cloned()).collect();
        Ok(Committed { version, appended, settled: true, repeated: true })
    }

    fn before(&self, conn: &Connection, log: &LogRef, id: EntryId) -> Result<Option<EntryId>, CommitError> {
        let find = || -> Result<Option<(i64, u64)>, rusqlite::Error> {
            let Some(no) = log_no(conn, &log.bytes)? else { return Ok(None) };
            let extent = Extent::of(conn, no)?;
            let at = extent.partition_point(conn, |tick, _| EntryId::new(tick, self.node) < id)?;
            extent.last(conn, at)
        };
        let last = find().map_err(|error| reader::failed(&error, log.kind, &log.bytes))?;
        Ok(last.map(|(_, tick)| EntryId::new(tick, self.node)))
    }
}

/// When the first entry of a log, which expires then, can be removed.
fn due(log: &LogRef, expires: Option<Timestamp>) -> Option<i64> {
    expires.map(|expires| (expires + log.memory).micros())
}

fn memory(log: &LogRef) -> i64 {
    i64::try_from(log.memory.as_micros()).unwrap_or(i64::MAX)
}

fn page_after(log: &LogRef, cursor: Option<EntryId>, now: Timestamp) -> LogQuery {
    let range = LogRange::After(cursor);
    LogQuery { log: log.clone(), range, items: limits::PAGE_ITEMS, bytes: limits::PAGE_BYTES, now }
}

fn check(conn: &Connection, aggregate: &RawAggregate, head: &Head, now: Timestamp) -> Result<(), CommitError> {
    if aggregate.unchanged.is_some_and(|version| version != head.version) {
        return Err(CommitError::Conflict);
    }
    for expect in &aggregate.expects {
        let found = reader::stored(conn, expect.table, &aggregate.bytes, &expect.key)?;
        let live = found.filter(|row| row.expires.is_none_or(|expires| expires > now));
        if live.map_or(Version::NEVER, |row| row.version) != expect.version {
            return Err(CommitError::Conflict);
        }
    }
    Ok(())
}

const UPDATE_ROWS: &str =
    "UPDATE rows SET version = ?3, json = ?4, bin = ?5, expires = ?6, crc = ?7 WHERE agg = ?1 AND key = ?2";
const INSERT_ROWS: &str =
    "INSERT INTO rows(agg, key, version, json, bin, expires, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const UPDATE_PLAIN: &str =
    "UPDATE plain SET version = ?3, json = ?4, bin = ?5, expires = ?6, crc = ?7 WHERE agg = ?1 AND key = ?2";
const INSERT_PLAIN: &str =
    "INSERT INTO plain(agg, key, version, json, bin, expires, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

fn write_row(
    conn: &Connection,
    table: &'static str,
    part: &[u8],
    key: &[u8],
    version: Version,
    put: Option<&RawPut>,
) -> Result<(), rusqlite::Error> {
    let Some(RawPut { cell, expires }) = put else {
        let sql = match table {
            "rows" => "DELETE FROM rows WHERE agg = ?1 AND key = ?2",
            _ => "DELETE FROM plain WHERE agg = ?1 AND key = ?2",
        };
        conn.prepare_cached(sql)?.execute((part, key))?;
        return Ok(());
    };
    let Cell { json, bin } = cell;
    let crc = checksum::row(part, key, version, cell, *expires);
    let params =
        params![part, key, version.micros().cast_signed(), json, bin.as_deref(), expires.map(Timestamp::micros), crc];
    // An upsert would do both at once, but SQLite keeps a journal of 64 KiB in memory for each.
    let (update, insert) = match table {
        "rows" => (UPDATE_ROWS, INSERT_ROWS),
        _ => (UPDATE_PLAIN, INSERT_PLAIN),
    };
    if conn.prepare_cached(update)?.execute(params)? == 0 {
        conn.prepare_cached(insert)?.execute(params)?;
    }
    Ok(())
}

/// Writes the bodies that entries use; returns their numbers.
fn write_bodies(conn: &Connection, commit: &RawCommit) -> Result<HashMap<usize, i64>, rusqlite::Error> {
    let mut written = HashMap::new();
    for append in &commit.appends {
        let RawBody::Shared(at) = append.body else { continue };
        let Some(bytes) = commit.bodies.get(at).filter(|_| !written.contains_key(&at)) else { continue };
        conn.prepare_cached("INSERT INTO body(bytes, crc) VALUES (?1, ?2)")?
            .execute((&bytes[..], checksum::body(bytes)))?;
        written.insert(at, conn.last_insert_rowid());
    }
    Ok(written)
}
