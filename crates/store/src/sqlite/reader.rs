//! Reading, on any connection.

use std::{collections::HashMap, fmt::Write as _, ops::Bound};

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params_from_iter, types::ValueRef};
use types::Timestamp;

use super::{
    columns::{self, Stored},
    extent::{Extent, log_no},
};
use crate::{
    Corrupt, Dir, Entry, EntryId, ReadError, checksum,
    engine::{EntryPage, Head, LogQuery, LogRange, RawRow, RowPage, RowQuery, Space},
    key,
};

/// The head row of an aggregate.
pub(super) fn head(conn: &Connection, kind: &'static str, aggregate: &[u8]) -> Result<Head, ReadError> {
    match stored(conn, kind, aggregate, Head::KEY)? {
        Some(stored) => Head::of(&stored).map_err(|_| corrupt(kind, aggregate)),
        None => Ok(Head::default()),
    }
}

/// One guarded row, expired or not.
pub(super) fn stored(
    conn: &Connection,
    table: &'static str,
    aggregate: &[u8],
    key: &[u8],
) -> Result<Option<Stored>, ReadError> {
    let failed = |error| failed(&error, table, aggregate);
    let mut statement = conn
        .prepare_cached("SELECT version, json, bin, expires, crc FROM rows WHERE agg = ?1 AND key = ?2")
        .map_err(failed)?;
    let found = statement
        .query_row((aggregate, key), |row| Ok(Stored::take(row, 0, aggregate, key)))
        .optional()
        .map_err(failed)?;
    found.transpose().map_err(|_| corrupt(table, if key == Head::KEY { aggregate } else { key }))
}

/// A page of rows.
pub(super) fn rows(conn: &Connection, query: &RowQuery) -> Result<RowPage, ReadError> {
    let failed = |error| failed(&error, query.table, &query.part);
    let mut params: Vec<rusqlite::types::Value> = vec![query.part.to_vec().into(), query.now.micros().into()];
    let mut sql = String::from("SELECT key, version, json, bin, expires, crc FROM ");
    sql.push_str(match query.space {
        Space::Guarded => "rows",
        Space::Plain => "plain",
    });
    sql.push_str(" WHERE agg = ?1 AND (expires IS NULL OR expires > ?2)");
    let mut bound = |bound: &Bound<Bytes>, included: &str, excluded: &str| {
        let (operator, key) = match bound {
            Bound::Included(key) => (included, key),
            Bound::Excluded(key) => (excluded, key),
            Bound::Unbounded => return,
        };
        params.push(key.to_vec().into());
        // Writing to a string cannot fail.
        let _ = write!(sql, " AND key {operator} ?{}", params.len());
    };
    bound(&query.lower, ">=", ">");
    bound(&query.upper, "<=", "<");
    params.push(i64::try_from(query.items + 1).unwrap_or(i64::MAX).into());
    let dir = match query.dir {
        Dir::Forward => "",
        Dir::Reverse => " DESC",
    };
    let _ = write!(sql, " ORDER BY key{dir} LIMIT ?{}", params.len());
    let mut statement = conn.prepare_cached(&sql).map_err(failed)?;
    let mut found = statement.query(params_from_iter(params)).map_err(failed)?;
    let (mut page, mut bytes) = (RowPage::default(), 0);
    while let Some(row) = found.next().map_err(failed)? {
        if page.rows.len() == query.items || bytes >= query.bytes {
            page.more = true;
            break;
        }
        match raw_row(row, query) {
            Ok(row) => {
                bytes += row.key.len() + row.cell.len();
                page.rows.push(row);
            }
            // What comes before the damage is delivered first.
            Err(_) if !page.rows.is_empty() => {
                page.more = true;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

fn raw_row(row: &Row<'_>, query: &RowQuery) -> Result<RawRow, ReadError> {
    let key = columns::blob(row, 0).map_err(|_| corrupt(query.table, &query.part))?;
    let stored = Stored::take(row, 1, &query.part, key).map_err(|_| corrupt(query.table, key))?;
    let key = Bytes::copy_from_slice(key);
    Ok(RawRow { key, cell: stored.cell, version: stored.version, expires: stored.expires })
}

/// A page of a log. Several statements, so on one snapshot.
pub(super) fn entries(conn: &Connection, node: u64, query: &LogQuery) -> Result<EntryPage, ReadError> {
    let failed = |error| failed(&error, query.log.kind, &query.log.bytes);
    let snapshot = conn.unchecked_transaction().map_err(failed)?;
    entries_within(&snapshot, node, query)
}

/// The same within a transaction.
pub(super) fn entries_within(conn: &Connection, node: u64, query: &LogQuery) -> Result<EntryPage, ReadError> {
    let failed = |error| failed(&error, query.log.kind, &query.log.bytes);
    let Some(no) = log_no(conn, &query.log.bytes).map_err(failed)? else { return Ok(EntryPage::default()) };
    let extent = Extent::of(conn, no).map_err(failed)?;
    let (begin, end) = extent.range();
    let expired = |expires: Option<Timestamp>| expires.is_some_and(|expires| expires <= query.now);
    let live = extent.partition_point(conn, |_, expires| expired(expires)).map_err(failed)?;
    let find = |before: &dyn Fn(EntryId) -> bool| {
        extent.partition_point(conn, |tick, _| before(EntryId::new(tick, node))).map_err(failed)
    };
    let (range, lost) = match query.range {
        LogRange::After(None) => ((live, end), live > begin),
        LogRange::After(Some(cursor)) => {
            let after = find(&|id| id <= cursor)?;
            ((after.max(live), end), live > after)
        }
        LogRange::Before(None) => ((live, end), live > begin),
        LogRange::Before(Some(cursor)) => ((live, find(&|id| id < cursor)?), live > begin),
        LogRange::Only(id) => ((find(&|other| other < id)?.max(live), find(&|other| other <= id)?), false),
    };
    let (mut parts, dir) = (
        extent.parts(range),
        match query.range {
            LogRange::Before(_) => " DESC",
            LogRange::After(_) | LogRange::Only(_) => "",
        },
    );
    if !dir.is_empty() {
        parts.reverse();
    }
    let mut reading = Reading {
        conn,
        node,
        query,
        page: EntryPage { lost, ..EntryPage::default() },
        bytes: 0,
        bodies: HashMap::new(),
    };
    for (table, (begin, end)) in parts {
        if begin < end && !reading.page.more {
            reading.part(table, (begin, end), dir)?;
        }
    }
    Ok(reading.page)
}

/// A page of a log that is being read.
struct Reading<'a> {
    conn: &'a Connection,
    node: u64,
    query: &'a LogQuery,
    page: EntryPage,
    bytes: usize,
    /// Shared bodies, each read once a page.
    bodies: HashMap<i64, Bytes>,
}

impl Reading<'_> {
    /// Goes on with a range of one table, until the page is full.
    fn part(&mut self, table: &str, range: (i64, i64), dir: &str) -> Result<(), ReadError> {
        let query = self.query;
        let failed = |error| failed(&error, query.log.kind, &query.log.bytes);
        let sql = format!(
            "SELECT tick, key, meta, body, body_ref, expires, crc FROM {table} WHERE pos >= ?1 AND pos < ?2
             AND (expires IS NULL OR expires > ?3) ORDER BY pos{dir} LIMIT ?4"
        );
        let limit = i64::try_from(query.items + 1).unwrap_or(i64::MAX);
        let mut statement = self.conn.prepare_cached(&sql).map_err(failed)?;
        let mut found = statement.query((range.0, range.1, query.now.micros(), limit)).map_err(failed)?;
        while let Some(row) = found.next().map_err(failed)? {
            if self.page.entries.len() == query.items || self.bytes >= query.bytes {
                self.page.more = true;
                break;
            }
            match self.entry(row) {
                Ok((id, entry)) => {
                    self.bytes += entry.key.len() + entry.meta.len() + entry.body.as_ref().map_or(0, Bytes::len);
                    self.page.entries.push((id, entry));
                }
                Err(ReadError::Corrupt { .. }) if !self.page.entries.is_empty() => {
                    self.page.more = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn entry(&mut self, row: &Row<'_>) -> Result<(EntryId, Entry), ReadError> {
        let (query, name) = (self.query, &self.query.log.bytes);
        let Ok(tick) = columns::number(row, 0).map(i64::cast_unsigned) else {
            return Err(corrupt(query.log.kind, name));
        };
        let id = EntryId::new(tick, self.node);
        let damaged = |_| ReadError::Corrupt { table: query.log.kind, key: format!("{} {id}", key::show(name)) };
        let read = || -> Result<_, Corrupt> {
            let (key, meta) = (columns::blob(row, 1)?, columns::blob(row, 2)?);
            let (body, shared) = (columns::optional_blob(row, 3)?, columns::optional_number(row, 4)?);
            let expires = columns::optional_number(row, 5)?.map(Timestamp::from_micros);
            if columns::number(row, 6)? != i64::from(checksum::entry((name, tick), key, meta, body, shared, expires)) {
                return Err(Corrupt("a checksum that does not fit"));
            }
            let copy = Bytes::copy_from_slice;
            Ok((Entry { key: copy(key), meta: copy(meta), body: body.map(copy), expires }, shared))
        };
        let (mut entry, shared) = read().map_err(damaged)?;
        if let Some(no) = shared {
            let body = self.body(no).map_err(|error| failed(&error, query.log.kind, name))?;
            entry.body = Some(body.ok_or(Corrupt("a body that is damaged")).map_err(damaged)?);
        }
        Ok((id, entry))
    }

    /// A shared body. `None` when it is damaged or not there.
    fn body(&mut self, no: i64) -> Result<Option<Bytes>, rusqlite::Error> {
        if let Some(body) = self.bodies.get(&no) {
            return Ok(Some(body.clone()));
        }
        let mut statement = self.conn.prepare_cached("SELECT bytes, crc FROM body WHERE no = ?1")?;
        let found = statement
            .query_row([no], |row| match (row.get_ref(0)?, row.get_ref(1)?) {
                (ValueRef::Blob(bytes), ValueRef::Integer(crc)) if crc == i64::from(checksum::body(bytes)) => {
                    Ok(Some(Bytes::copy_from_slice(bytes)))
                }
                _ => Ok(None),
            })
            .optional()?
            .flatten();
        if let Some(body) = &found {
            self.bodies.insert(no, body.clone());
        }
        Ok(found)
    }
}

pub(super) fn corrupt(table: &'static str, key: &[u8]) -> ReadError {
    ReadError::Corrupt { table, key: key::show(key) }
}

/// What a failure of SQLite means to a reader.
pub(super) fn failed(error: &rusqlite::Error, table: &'static str, part: &[u8]) -> ReadError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => corrupt(table, part),
        _ => {
            tracing::error!(table, %error, "reading from SQLite failed");
            ReadError::unavailable()
        }
    }
}
