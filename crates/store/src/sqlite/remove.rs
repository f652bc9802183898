//! Physical removal: of what has expired and of what is trimmed, for some milliseconds a transaction.

use rusqlite::{Connection, OptionalExtension};
use types::{Clock, Timestamp};

use super::{
    extent::{Extent, log_no, used},
    slice::Slice,
};
use crate::{EntryId, LogRef, engine::Report};

/// Rows or entries removed by one statement. Large ones take their time.
const PIECE: usize = 50;

/// Removes one batch of what has expired; `more` says whether there may be another. Which kind of thing comes first
/// changes with `first`, so that none waits for ever for another.
pub(super) fn expired(conn: &Connection, clock: &dyn Clock, first: usize) -> Result<Report, rusqlite::Error> {
    let (mut report, now, mut slice) = (Report::default(), clock.now(), Slice::begin(clock));
    for kind in (0..3).map(|nth| (first % 3 + nth) % 3) {
        match kind {
            0 => expired_rows(
                conn,
                "DELETE FROM rows WHERE no IN (SELECT no FROM rows WHERE expires <= ?1 LIMIT ?2)",
                now,
                &mut slice,
                &mut report,
            )?,
            1 => expired_rows(
                conn,
                "DELETE FROM plain WHERE no IN (SELECT no FROM plain WHERE expires <= ?1 LIMIT ?2)",
                now,
                &mut slice,
                &mut report,
            )?,
            _ => expired_entries(conn, now, &mut slice, &mut report)?,
        }
        if report.more {
            break;
        }
    }
    Ok(report)
}

fn expired_rows(
    conn: &Connection,
    sql: &str,
    now: Timestamp,
    slice: &mut Slice<'_>,
    report: &mut Report,
) -> Result<(), rusqlite::Error> {
    let mut statement = conn.prepare_cached(sql)?;
    loop {
        let removed = statement.execute((now.micros(), PIECE as i64))?;
        report.rows += removed as u64;
        if removed < PIECE {
            return Ok(());
        }
        slice.spend(removed);
        if slice.is_over() {
            report.more = true;
            return Ok(());
        }
    }
}

/// As many logs as there is time for: most have little to remove.
fn expired_entries(
    conn: &Connection,
    now: Timestamp,
    slice: &mut Slice<'_>,
    report: &mut Report,
) -> Result<(), rusqlite::Error> {
    let mut due = conn.prepare_cached("SELECT no, memory FROM log_name WHERE due <= ?1 LIMIT 1")?;
    loop {
        let log = due.query_row([now.micros()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let Some((no, memory)) = log.optional()? else { return Ok(()) };
        if slice.is_over() {
            report.more = true;
            return Ok(());
        }
        let is_due = |expires: Option<Timestamp>| {
            expires.is_some_and(|expires| expires.micros().saturating_add(memory) <= now.micros())
        };
        let extent = Extent::of(conn, no)?;
        let upto = extent.partition_point(conn, |_, expires| is_due(expires))?;
        slice.spend(1);
        front(conn, no, (&extent, upto), slice, report)?;
    }
}

/// Removes one batch of the entries up to and with `upto`; `more` says whether there is another.
pub(super) fn trimmed(
    conn: &Connection,
    node: u64,
    log: &LogRef,
    upto: EntryId,
    clock: &dyn Clock,
) -> Result<Report, rusqlite::Error> {
    let mut report = Report::default();
    let Some(no) = log_no(conn, &log.bytes)? else { return Ok(report) };
    let extent = Extent::of(conn, no)?;
    let end = extent.partition_point(conn, |tick, _| EntryId::new(tick, node) <= upto)?;
    report.more = !front(conn, no, (&extent, end), &mut Slice::begin(clock), &mut report)?;
    Ok(report)
}

/// Removes entries before a position from the front of a log while there is time, bodies that nobody shares any more, and the log's name
/// with its last entry. Says whether all are gone.
fn front(
    conn: &Connection,
    no: i64,
    (extent, end): (&Extent, i64),
    slice: &mut Slice<'_>,
    report: &mut Report,
) -> Result<bool, rusqlite::Error> {
    let (mut begin, _) = extent.range();
    while begin < end && !slice.is_over() {
        let stop = end.min(begin.saturating_add(PIECE as i64));
        for (table, range) in extent.parts((begin, stop)) {
            piece(conn, table, range, report)?;
        }
        slice.spend(PIECE);
        begin = stop;
    }
    let extent = Extent::of(conn, no)?;
    if extent.is_empty() {
        conn.prepare_cached("DELETE FROM log_name WHERE no = ?1")?.execute([no])?;
        report.logs += 1;
    } else {
        conn.prepare_cached(
            "UPDATE log_name SET due = memory + coalesce((SELECT expires FROM log WHERE pos = ?2),
                                                         (SELECT expires FROM fresh WHERE pos = ?2)) WHERE no = ?1",
        )?
        .execute((no, extent.range().0))?;
    }
    Ok(begin >= end)
}

fn piece(conn: &Connection, table: &str, range: (i64, i64), report: &mut Report) -> Result<(), rusqlite::Error> {
    if range.0 >= range.1 {
        return Ok(());
    }
    let bodies: Vec<i64> = conn
        .prepare_cached(&format!(
            "SELECT DISTINCT body_ref FROM {table} WHERE pos >= ?1 AND pos < ?2 AND body_ref IS NOT NULL"
        ))?
        .query_map(range, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let removed = conn.prepare_cached(&format!("DELETE FROM {table} WHERE pos >= ?1 AND pos < ?2"))?.execute(range)?;
    report.entries += removed as u64;
    for body in bodies {
        let gone =
            conn.prepare_cached(&format!("DELETE FROM body WHERE no = ?1 AND NOT {}", used("?1")))?.execute([body])?;
        report.bodies += gone as u64;
    }
    Ok(())
}
