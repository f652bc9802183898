//! Physical removal: of what has expired and of what is trimmed, some hundred rows a transaction.

use rusqlite::{Connection, OptionalExtension};
use types::Timestamp;

use super::reader::{extent, log_no, partition_point};
use crate::{EntryId, LogRef, engine::Report};

/// Rows removed in one transaction.
const BATCH: usize = 500;

/// Removes one batch of expired rows or entries; `more` says whether there may be another.
pub(super) fn expired(conn: &Connection, now: Timestamp) -> Result<Report, rusqlite::Error> {
    let mut report = Report::default();
    for sql in [
        "DELETE FROM rows WHERE no IN (SELECT no FROM rows WHERE expires <= ?1 LIMIT ?2)",
        "DELETE FROM plain WHERE no IN (SELECT no FROM plain WHERE expires <= ?1 LIMIT ?2)",
    ] {
        let removed = conn.prepare_cached(sql)?.execute((now.micros(), BATCH as i64))?;
        report.rows += removed as u64;
        report.more |= removed == BATCH;
    }
    let log: Option<(i64, i64)> = conn
        .prepare_cached("SELECT no, memory FROM log_name WHERE due <= ?1 LIMIT 1")?
        .query_row([now.micros()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((no, memory)) = log {
        let due = |expires: Option<Timestamp>| {
            expires.is_some_and(|expires| expires.micros().saturating_add(memory) <= now.micros())
        };
        let range = extent(conn, no)?;
        let upto = partition_point(conn, range, |_, expires| due(expires))?;
        front(conn, no, (range.0, upto), &mut report)?;
        // Another log may be due, or more of this one.
        report.more = true;
    }
    Ok(report)
}

/// Removes one batch of the entries up to and with `upto`.
pub(super) fn trimmed(conn: &Connection, node: u64, log: &LogRef, upto: EntryId) -> Result<Report, rusqlite::Error> {
    let mut report = Report::default();
    let Some(no) = log_no(conn, &log.bytes)? else { return Ok(report) };
    let range = extent(conn, no)?;
    let end = partition_point(conn, range, |tick, _| EntryId::new(tick, node) <= upto)?;
    front(conn, no, (range.0, end), &mut report)?;
    Ok(report)
}

/// Removes a batch of entries from the front of a log, bodies that nobody shares any more, and the log's name with its
/// last entry.
fn front(conn: &Connection, no: i64, (begin, end): (i64, i64), report: &mut Report) -> Result<(), rusqlite::Error> {
    let stop = end.min(begin.saturating_add(BATCH as i64));
    let bodies: Vec<i64> = conn
        .prepare_cached("SELECT DISTINCT body_ref FROM log WHERE pos >= ?1 AND pos < ?2 AND body_ref IS NOT NULL")?
        .query_map((begin, stop), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let removed = conn.prepare_cached("DELETE FROM log WHERE pos >= ?1 AND pos < ?2")?.execute((begin, stop))?;
    report.entries += removed as u64;
    report.more = stop < end;
    for body in bodies {
        let gone = conn
            .prepare_cached("DELETE FROM body WHERE no = ?1 AND NOT EXISTS (SELECT 1 FROM log WHERE body_ref = ?1)")?
            .execute([body])?;
        report.bodies += gone as u64;
    }
    let (first, after) = extent(conn, no)?;
    if first == after {
        conn.prepare_cached("DELETE FROM log_name WHERE no = ?1")?.execute([no])?;
    } else {
        conn.prepare_cached(
            "UPDATE log_name SET due = (SELECT expires FROM log WHERE pos = ?2) + memory WHERE no = ?1",
        )?
        .execute((no, first))?;
    }
    Ok(())
}
