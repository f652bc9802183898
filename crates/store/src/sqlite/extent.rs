//! Where the entries of a log stand: the older ones in `log`, by their positions; the newest in `fresh`, in the order in
//! which entries of all logs came, with an index of positions. Those in `fresh` come after those in `log`.

use rusqlite::{Connection, OptionalExtension};
use types::Timestamp;

/// The tables of entries, in the order of positions within a log.
pub(super) const TABLES: [&str; 2] = ["log", "fresh"];

/// The positions that a log has, a half-open range: those below `split` stand in `log`, the others in `fresh`. Not every
/// position has an entry. Holds for one state of the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    begin: i64,
    split: i64,
    end: i64,
}

/// The number of a log, if it has one.
pub(super) fn log_no(conn: &Connection, name: &[u8]) -> Result<Option<i64>, rusqlite::Error> {
    let mut statement = conn.prepare_cached("SELECT no FROM log_name WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

/// The SQL that says whether an entry has the body of that number.
pub(super) fn used(body: &str) -> String {
    let by = |table: &str| format!("EXISTS (SELECT 1 FROM {table} WHERE body_ref = {body})");
    format!("({})", TABLES.map(by).join(" OR "))
}

/// The SQL that selects columns of all entries within a range of positions, in their order.
pub(super) fn entries_of(columns: &str) -> String {
    let of = |table: &str| {
        format!("SELECT {columns}, pos, '{table}' = 'fresh' AS fresh FROM {table} WHERE pos >= ?1 AND pos < ?2")
    };
    format!("{} ORDER BY pos", TABLES.map(of).join(" UNION ALL "))
}

/// The positions that a log of this number may have.
pub(super) fn positions(no: i64) -> (i64, i64) {
    (no << 32, no.saturating_add(1) << 32)
}

impl Extent {
    /// The one of this number. Empty if it has no entries.
    pub(super) fn of(conn: &Connection, no: i64) -> Result<Self, rusqlite::Error> {
        // One end a statement: SQLite finds one by its index, but scans for both at once.
        let ask = |sql: &str, (begin, end): (i64, i64)| {
            conn.prepare_cached(sql)?.query_row((begin, end), |row| row.get::<_, Option<i64>>(0))
        };
        let (first, behind) = positions(no);
        let newest = ask("SELECT max(pos) FROM fresh WHERE pos >= ?1 AND pos < ?2", (first, behind))?;
        let split = match newest {
            Some(_) => ask("SELECT min(pos) FROM fresh WHERE pos >= ?1 AND pos < ?2", (first, behind))?,
            None => ask("SELECT max(pos) FROM log WHERE pos >= ?1 AND pos < ?2", (first, behind))?.map(|last| last + 1),
        };
        let split = split.unwrap_or(first);
        let begin = ask("SELECT min(pos) FROM log WHERE pos >= ?1 AND pos < ?2", (first, split))?.unwrap_or(split);
        Ok(Self { begin, split, end: newest.map_or(split, |newest| newest + 1) })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// The position of the first entry, and the one behind the last.
    pub(super) fn range(&self) -> (i64, i64) {
        (self.begin, self.end)
    }

    /// A range within it, divided by tables, in the order of positions.
    pub(super) fn parts(&self, (begin, end): (i64, i64)) -> [(&'static str, (i64, i64)); 2] {
        let [old, new] = TABLES;
        [(old, (begin, end.min(self.split))), (new, (begin.max(self.split), end))]
    }

    /// Position and tick of the last entry before a position.
    pub(super) fn last(&self, conn: &Connection, before: i64) -> Result<Option<(i64, u64)>, rusqlite::Error> {
        let [older, newer] = self.parts((self.begin, before));
        for (table, range) in [newer, older].into_iter().filter(|(_, (begin, end))| begin < end) {
            let sql = format!("SELECT pos, tick FROM {table} WHERE pos >= ?1 AND pos < ?2 ORDER BY pos DESC LIMIT 1");
            let found = conn
                .prepare_cached(&sql)?
                .query_row(range, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())));
            if let Some(last) = found.optional()? {
                return Ok(Some(last));
            }
        }
        Ok(None)
    }

    /// The first position whose tick and expiry do not fulfil `before`, by bisection: both rise with the position. No index
    /// is needed for it, which would cost every append. Often it is the very first: of a log in which nothing has expired.
    pub(super) fn partition_point(
        &self,
        conn: &Connection,
        before: impl Fn(u64, Option<Timestamp>) -> bool,
    ) -> Result<i64, rusqlite::Error> {
        let [(old, older), (new, newer)] = self.parts(self.range());
        // What the first of the newer ones says decides in which of the two tables the point lies.
        if let Some((at, true)) = probe(conn, new, newer, &before)? {
            return bisect(conn, new, (at + 1, newer.1), &before);
        }
        match probe(conn, old, older, &before)? {
            Some((at, true)) => bisect(conn, old, (at + 1, older.1), &before),
            Some((at, false)) => Ok(at),
            None => Ok(older.1),
        }
    }
}

fn bisect(
    conn: &Connection,
    table: &str,
    (mut low, mut high): (i64, i64),
    before: &impl Fn(u64, Option<Timestamp>) -> bool,
) -> Result<i64, rusqlite::Error> {
    while low < high {
        let middle = low + (high - low) / 2;
        match probe(conn, table, (middle, high), before)? {
            Some((at, true)) => low = at + 1,
            // Positions between the middle and a later one found are empty.
            Some((_, false)) | None => high = middle,
        }
    }
    Ok(low)
}

/// What the first entry of a range says, if there is one.
fn probe(
    conn: &Connection,
    table: &str,
    (begin, end): (i64, i64),
    before: &impl Fn(u64, Option<Timestamp>) -> bool,
) -> Result<Option<(i64, bool)>, rusqlite::Error> {
    if begin >= end {
        return Ok(None);
    }
    conn.prepare_cached(match table {
        "log" => "SELECT pos, tick, expires FROM log WHERE pos >= ?1 AND pos < ?2 ORDER BY pos LIMIT 1",
        _ => "SELECT pos, tick, expires FROM fresh WHERE pos >= ?1 AND pos < ?2 ORDER BY pos LIMIT 1",
    })?
    .query_row((begin, end), |row| {
        let expires = row.get::<_, Option<i64>>(2)?.map(Timestamp::from_micros);
        Ok((row.get(0)?, before(row.get::<_, i64>(1)?.cast_unsigned(), expires)))
    })
    .optional()
}
