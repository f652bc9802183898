//! Moving entries from `fresh` to `log`.
//!
//! An append to `fresh` goes to its end, so the entries of one commit fill pages one after another, whatever logs they are
//! for. In `log` each log has pages of its own, as its readers want it. Entries are moved in rounds, log by log: those of one
//! log come to the same pages, and the more there are of them the fewer pages are written for each.

use rusqlite::Connection;
use types::Clock;

use super::{extent::positions, slice::Slice};

/// Entries moved by one statement. Large ones take their time.
const PIECE: i64 = 50;

/// Which entries are moved, and how far that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The number in `fresh` of the newest of them. Of each log that makes the first of its fresh entries, or none.
    last: i64,
    /// The log whose turn it is. Always from its first entry on: its number may have become another log's meanwhile.
    log: i64,
}

/// How many entries are fresh.
pub(super) fn count(conn: &Connection) -> Result<u64, rusqlite::Error> {
    conn.prepare_cached("SELECT count(*) FROM fresh")?.query_row([], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

impl Round {
    /// Of all entries that are fresh now; `None` if none is.
    pub(super) fn begin(conn: &Connection) -> Result<Option<Self>, rusqlite::Error> {
        let last =
            conn.prepare_cached("SELECT max(no) FROM fresh")?.query_row([], |row| row.get::<_, Option<i64>>(0))?;
        Ok(last.map(|last| Self { last, log: 0 }))
    }

    /// Moves entries while there is time. Says how many, and what is left to be done.
    pub(super) fn go_on(
        mut self,
        conn: &Connection,
        clock: &dyn Clock,
    ) -> Result<(u64, Option<Self>), rusqlite::Error> {
        let (mut slice, mut moved) = (Slice::begin(clock), 0);
        loop {
            let (begin, _) = positions(self.log);
            // The index has number and position, so that others are passed over without being read.
            let upto: Option<i64> = conn
                .prepare_cached(
                    "SELECT max(pos) FROM (SELECT pos FROM fresh INDEXED BY fresh_pos WHERE pos >= ?1 AND no <= ?2
                     ORDER BY pos LIMIT ?3)",
                )?
                .query_row((begin, self.last, PIECE), |row| row.get(0))?;
            let Some(upto) = upto else { return Ok((moved, None)) };
            let piece = (begin, upto, self.last);
            let copied = conn
                .prepare_cached(
                    "INSERT INTO log(pos, tick, key, meta, body, body_ref, expires, crc)
                     SELECT pos, tick, key, meta, body, body_ref, expires, crc FROM fresh INDEXED BY fresh_pos
                     WHERE pos BETWEEN ?1 AND ?2 AND no <= ?3 ORDER BY pos",
                )?
                .execute(piece)?;
            let removed = conn
                .prepare_cached("DELETE FROM fresh INDEXED BY fresh_pos WHERE pos BETWEEN ?1 AND ?2 AND no <= ?3")?
                .execute(piece)?;
            if copied != removed {
                return Err(rusqlite::Error::StatementChangedRows(removed));
            }
            moved += copied as u64;
            self.log = upto >> 32;
            slice.spend(copied);
            if slice.is_over() {
                return Ok((moved, Some(self)));
            }
        }
    }
}
