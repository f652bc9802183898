//! Reading, on any connection.

use std::{collections::HashMap, fmt::Write as _, ops::Bound};

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params_from_iter, types::ValueRef};
use types::Timestamp;

use super::columns::{self, Stored};
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

/// The number of a log, if it has one.
pub(super) fn log_no(conn: &Connection, name: &[u8]) -> Result<Option<i64>, rusqlite::Error> {
    let mut statement = conn.prepare_cached("SELECT no FROM log_name WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

/// The positions that a log has, as a half-open range; empty if it has no entries.
pub(super) fn extent(conn: &Connection, no: i64) -> Result<(i64, i64), rusqlite::Error> {
    // Two statements: SQLite finds one end by its index, but scans for both at once.
    let (begin, end) = (no << 32, no.saturating_add(1) << 32);
    let mut first = conn.prepare_cached("SELECT min(pos) FROM log WHERE pos >= ?1 AND pos < ?2")?;
    let mut last = conn.prepare_cached("SELECT max(pos) FROM log WHERE pos >= ?1 AND pos < ?2")?;
    let first: Option<i64> = first.query_row((begin, end), |row| row.get(0))?;
    let last: Option<i64> = last.query_row((begin, end), |row| row.get(0))?;
    Ok((first.unwrap_or(begin), last.map_or(begin, |last| last + 1)))
}

/// The first position within a range whose tick and expiry do not fulfil `before`, by bisection: both rise with the
/// position. No index is needed for it, which would cost every append.
pub(super) fn partition_point(
    conn: &Connection,
    (mut low, mut high): (i64, i64),
    before: impl Fn(u64, Option<Timestamp>) -> bool,
) -> Result<i64, rusqlite::Error> {
    let mut probe = conn.prepare_cached("SELECT pos, tick, expires FROM log WHERE pos >= ?1 AND pos < ?2 LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found = probe
            .query_row((middle, high), |row| {
                let expires = row.get::<_, Option<i64>>(2)?.map(Timestamp::from_micros);
                Ok((row.get::<_, i64>(0)?, before(row.get::<_, i64>(1)?.cast_unsigned(), expires)))
            })
            .optional()?;
        match found {
            Some((at, true)) => low = at + 1,
            // Positions between the middle and a later one found are empty.
            Some((_, false)) | None => high = middle,
        }
    }
    Ok(low)
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
    let (begin, end) = extent(conn, no).map_err(failed)?;
    let expired = |expires: Option<Timestamp>| expires.is_some_and(|expires| expires <= query.now);
    let live = partition_point(conn, (begin, end), |_, expires| expired(expires)).map_err(failed)?;
    let find = |before: &dyn Fn(EntryId) -> bool| {
        partition_point(conn, (begin, end), |tick, _| before(EntryId::new(tick, node))).map_err(failed)
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
    let mut page = page(conn, node, query, range)?;
    page.lost = lost;
    Ok(page)
}

fn page(conn: &Connection, node: u64, query: &LogQuery, range: (i64, i64)) -> Result<EntryPage, ReadError> {
    let failed = |error| failed(&error, query.log.kind, &query.log.bytes);
    let dir = match query.range {
        LogRange::Before(_) => " DESC",
        LogRange::After(_) | LogRange::Only(_) => "",
    };
    let sql = format!(
        "SELECT tick, key, meta, body, body_ref, expires, crc FROM log WHERE pos >= ?1 AND pos < ?2
         AND (expires IS NULL OR expires > ?3) ORDER BY pos{dir} LIMIT ?4"
    );
    let limit = i64::try_from(query.items + 1).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(&sql).map_err(failed)?;
    let mut found = statement.query((range.0, range.1, query.now.micros(), limit)).map_err(failed)?;
    let (mut page, mut bytes) = (EntryPage::default(), 0);
    let mut bodies = Bodies { conn, read: HashMap::new() };
    while let Some(row) = found.next().map_err(failed)? {
        if page.entries.len() == query.items || bytes >= query.bytes {
            page.more = true;
            break;
        }
        match entry(row, node, query, &mut bodies) {
            Ok((id, entry)) => {
                bytes += entry.key.len() + entry.meta.len() + entry.body.as_ref().map_or(0, Bytes::len);
                page.entries.push((id, entry));
            }
            Err(ReadError::Corrupt { .. }) if !page.entries.is_empty() => {
                page.more = true;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

fn entry(row: &Row<'_>, node: u64, query: &LogQuery, bodies: &mut Bodies<'_>) -> Result<(EntryId, Entry), ReadError> {
    let name = &query.log.bytes;
    let Ok(tick) = columns::number(row, 0).map(i64::cast_unsigned) else {
        return Err(corrupt(query.log.kind, name));
    };
    let id = EntryId::new(tick, node);
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
        let body = bodies.get(no).map_err(|error| failed(&error, query.log.kind, name))?;
        entry.body = Some(body.ok_or(Corrupt("a body that is damaged")).map_err(damaged)?);
    }
    Ok((id, entry))
}

/// Shared bodies, each read once a page.
struct Bodies<'a> {
    conn: &'a Connection,
    read: HashMap<i64, Bytes>,
}

impl Bodies<'_> {
    /// `None` when it is damaged or not there.
    fn get(&mut self, no: i64) -> Result<Option<Bytes>, rusqlite::Error> {
        if let Some(body) = self.read.get(&no) {
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
            self.read.insert(no, body.clone());
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
