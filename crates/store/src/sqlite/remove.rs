//! Physical removal: of what has expired and of what is trimmed, for some milliseconds a transaction.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};
use types::{Clock, Timestamp};

use super::reader::{extent, log_no, partition_point};
use crate::{EntryId, LogRef, engine::Report};

/// How long things are removed in one transaction; commits wait meanwhile.
const SLICE: Duration = Duration::from_millis(3);
/// How many rows, entries or logs that are at most.
const BATCH: usize = 500;
/// Rows or entries removed by one statement. Large ones take their time.
const PIECE: usize = 50;

/// What is left of a transaction for one kind of thing.
struct Slice<'a> {
    clock: &'a dyn Clock,
    end: Instant,
    left: usize,
}

impl<'a> Slice<'a> {
    fn begin(clock: &'a dyn Clock) -> Self {
        Self { clock, end: clock.monotonic() + SLICE, left: BATCH }
    }

    fn spend(&mut self, things: usize) {
        self.left = self.left.saturating_sub(things);
    }

    fn is_over(&self) -> bool {
        self.left == 0 || self.clock.monotonic() >= self.end
    }
}

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
        let range = extent(conn, no)?;
        let upto = partition_point(conn, range, |_, expires| is_due(expires))?;
        slice.spend(1);
        front(conn, no, (range.0, upto), slice, report)?;
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
    let range = extent(conn, no)?;
    let end = partition_point(conn, range, |tick, _| EntryId::new(tick, node) <= upto)?;
    report.more = !front(conn, no, (range.0, end), &mut Slice::begin(clock), &mut report)?;
    Ok(report)
}

/// Removes entries from the front of a log while there is time, bodies that nobody shares any more, and the log's name
/// with its last entry. Says whether all are gone.
fn front(
    conn: &Connection,
    no: i64,
    (mut begin, end): (i64, i64),
    slice: &mut Slice<'_>,
    report: &mut Report,
) -> Result<bool, rusqlite::Error> {
    while begin < end && !slice.is_over() {
        let stop = end.min(begin.saturating_add(PIECE as i64));
        let bodies: Vec<i64> = conn
            .prepare_cached("SELECT DISTINCT body_ref FROM log WHERE pos >= ?1 AND pos < ?2 AND body_ref IS NOT NULL")?
            .query_map((begin, stop), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let removed = conn.prepare_cached("DELETE FROM log WHERE pos >= ?1 AND pos < ?2")?.execute((begin, stop))?;
        report.entries += removed as u64;
        slice.spend(PIECE);
        for body in bodies {
            let gone = conn
                .prepare_cached(
                    "DELETE FROM body WHERE no = ?1 AND NOT EXISTS (SELECT 1 FROM log WHERE body_ref = ?1)",
                )?
                .execute([body])?;
            report.bodies += gone as u64;
        }
        begin = stop;
    }
    let (first, after) = extent(conn, no)?;
    if first == after {
        conn.prepare_cached("DELETE FROM log_name WHERE no = ?1")?.execute([no])?;
        report.logs += 1;
    } else {
        conn.prepare_cached(
            "UPDATE log_name SET due = (SELECT expires FROM log WHERE pos = ?2) + memory WHERE no = ?1",
        )?
        .execute((no, first))?;
    }
    Ok(begin >= end)
}
