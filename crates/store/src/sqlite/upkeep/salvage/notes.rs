//! What was found while salvaging, in an own database for the time being: there may be more of it than memory holds.

use rusqlite::{Connection, Error, OptionalExtension, Row};

use crate::Version;

const TABLES: &str = "
PRAGMA journal_mode = off;
PRAGMA synchronous = off;
PRAGMA cache_size = -16384;
-- Rows that are sound, by their space.
CREATE TABLE found(space INTEGER, of BLOB, key BLOB, no INTEGER, version INTEGER, PRIMARY KEY(space, of, key)) WITHOUT ROWID;
-- Rows that could be read, sound or not.
CREATE TABLE tried(space INTEGER, no INTEGER, PRIMARY KEY(space, no)) WITHOUT ROWID;
-- Rows of which an index tells.
CREATE TABLE indexed(space INTEGER, no INTEGER, of BLOB, key BLOB, PRIMARY KEY(space, no)) WITHOUT ROWID;
CREATE TABLE body(no INTEGER PRIMARY KEY, used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE log(no INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, memory INTEGER);
-- Positions of the entries in `fresh`, with their numbers there.
CREATE TABLE fresh(pos INTEGER PRIMARY KEY, no INTEGER NOT NULL);
-- Entries that are sound, in the order of their ids, by the number of their log; those in `fresh` have a number there.
CREATE TABLE entry(log INTEGER, seq INTEGER, pos INTEGER NOT NULL, fresh INTEGER, PRIMARY KEY(log, seq)) WITHOUT ROWID;
BEGIN;
";

pub(super) struct Notes(Connection);

/// Where a row stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) of: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) no: i64,
}

/// A log with its name.
pub(super) struct Named {
    pub(super) no: i64,
    pub(super) name: Vec<u8>,
    /// If it could be read.
    pub(super) memory: Option<i64>,
}

impl Notes {
    pub(super) fn begin() -> Result<Self, Error> {
        // A file of SQLite's own, which is gone with this.
        let conn = Connection::open("")?;
        conn.execute_batch(TABLES)?;
        Ok(Self(conn))
    }

    fn put(&self, sql: &str, values: impl rusqlite::Params) -> Result<bool, Error> {
        let put = self.0.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        put.map(|rows| rows > 0).map_err(trouble)
    }

    /// `false` if there is one of that key, of which the newest is kept.
    pub(super) fn found(
        &self,
        space: i64,
        (of, key): (&[u8], &[u8]),
        no: i64,
        version: Version,
    ) -> Result<bool, Error> {
        let version = version.micros().cast_signed();
        let values = (space, of, key, no, version);
        if self.put("INSERT OR IGNORE INTO found VALUES (?1, ?2, ?3, ?4, ?5)", values)? {
            return Ok(true);
        }
        let newer = "UPDATE found SET no = ?4, version = ?5 WHERE space = ?1 AND of = ?2 AND key = ?3 AND version < ?5";
        self.put(newer, values).map(|_| false)
    }

    pub(super) fn tried(&self, space: i64, no: i64) -> Result<bool, Error> {
        self.put("INSERT OR IGNORE INTO tried VALUES (?1, ?2)", (space, no))
    }

    pub(super) fn indexed(&self, space: i64, of: &[u8], key: &[u8], no: i64) -> Result<bool, Error> {
        self.put("INSERT OR IGNORE INTO indexed VALUES (?1, ?2, ?3, ?4)", (space, no, of, key))
    }

    pub(super) fn body(&self, no: i64) -> Result<bool, Error> {
        self.put("INSERT OR IGNORE INTO body(no) VALUES (?1)", [no])
    }

    /// It can be read no more.
    pub(super) fn body_is_gone(&self, no: i64) -> Result<bool, Error> {
        self.put("DELETE FROM body WHERE no = ?1", [no])
    }

    /// `false` if there is no such body.
    pub(super) fn uses(&self, body: i64) -> Result<bool, Error> {
        self.put("UPDATE body SET used = 1 WHERE no = ?1", [body])
    }

    /// `false` if there is a log of that number or name.
    pub(super) fn log(&self, no: i64, name: &[u8], memory: Option<i64>) -> Result<bool, Error> {
        let new = self.put("INSERT OR IGNORE INTO log VALUES (?1, ?2, ?3)", (no, name, memory))?;
        Ok(new || self.put("UPDATE log SET memory = ?3 WHERE no = ?1 AND name = ?2", (no, name, memory))?)
    }

    pub(super) fn fresh(&self, pos: i64, no: i64) -> Result<bool, Error> {
        self.put("INSERT OR IGNORE INTO fresh VALUES (?1, ?2)", (pos, no))
    }

    pub(super) fn entry(&self, log: i64, seq: i64, pos: i64, fresh: Option<i64>) -> Result<bool, Error> {
        self.put("INSERT INTO entry VALUES (?1, ?2, ?3, ?4)", (log, seq, pos, fresh))
    }

    /// The newest row of an aggregate.
    pub(super) fn newest(&self, space: i64, of: &[u8]) -> Result<Version, Error> {
        let mut statement = self.0.prepare_cached("SELECT max(version) FROM found WHERE space = ?1 AND of = ?2")?;
        let newest: Option<i64> = statement.query_row((space, of), |row| row.get(0)).optional()?.flatten();
        Ok(Version::from_micros(newest.unwrap_or(0).cast_unsigned()))
    }

    /// The next sound row behind a place.
    pub(super) fn next_found(&self, space: i64, behind: Option<&Place>) -> Result<Option<Place>, Error> {
        let (of, key) = behind.map_or((&[][..], &[][..]), |place| (&place.of, &place.key));
        let sql = "SELECT of, key, no FROM found WHERE space = ?1 AND (of, key) > (?2, ?3) ORDER BY of, key LIMIT 1";
        self.0.prepare_cached(sql)?.query_row((space, of, key), place).optional()
    }

    /// The next row behind a number that an index tells of and that could not be read.
    pub(super) fn next_missing(&self, space: i64, behind: i64) -> Result<Option<Place>, Error> {
        let sql = "SELECT of, key, no FROM indexed AS i WHERE space = ?1 AND no > ?2
                   AND NOT EXISTS (SELECT 1 FROM tried WHERE space = ?1 AND no = i.no) ORDER BY no LIMIT 1";
        self.0.prepare_cached(sql)?.query_row((space, behind), place).optional()
    }

    /// The next body that an entry has.
    pub(super) fn next_body(&self, behind: i64) -> Result<Option<i64>, Error> {
        let sql = "SELECT no FROM body WHERE no > ?1 AND used = 1 ORDER BY no LIMIT 1";
        self.0.prepare_cached(sql)?.query_row([behind], |row| row.get(0)).optional()
    }

    /// The next log by number.
    pub(super) fn next_number(&self, behind: i64) -> Result<Option<Named>, Error> {
        let sql = "SELECT no, name, memory FROM log WHERE no > ?1 ORDER BY no LIMIT 1";
        self.0.prepare_cached(sql)?.query_row([behind], named).optional()
    }

    /// The next log by name.
    pub(super) fn next_log(&self, behind: &[u8]) -> Result<Option<Named>, Error> {
        let sql = "SELECT no, name, memory FROM log WHERE name > ?1 ORDER BY name LIMIT 1";
        self.0.prepare_cached(sql)?.query_row([behind], named).optional()
    }

    /// The next position up to `upto` of an entry in `fresh`, and its number there.
    pub(super) fn next_fresh(&self, behind: i64, upto: i64) -> Result<Option<(i64, i64)>, Error> {
        let sql = "SELECT pos, no FROM fresh WHERE pos > ?1 AND pos <= ?2 ORDER BY pos LIMIT 1";
        self.0.prepare_cached(sql)?.query_row((behind, upto), |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// The next log behind a number that has entries in `fresh` and no name, and how many.
    pub(super) fn next_nameless(&self, behind: i64) -> Result<Option<(i64, i64)>, Error> {
        let sql = "SELECT pos >> 32 AS of, count(*) FROM fresh
                   WHERE pos >> 32 > ?1 AND NOT EXISTS (SELECT 1 FROM log WHERE no = pos >> 32)
                   GROUP BY of ORDER BY of LIMIT 1";
        self.0.prepare_cached(sql)?.query_row([behind], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// The next sound entry of a log: its position, and its number if it stands in `fresh`.
    pub(super) fn next_entry(&self, log: i64, seq: i64) -> Result<Option<(i64, Option<i64>)>, Error> {
        let sql = "SELECT pos, fresh FROM entry WHERE log = ?1 AND seq = ?2";
        self.0.prepare_cached(sql)?.query_row((log, seq), |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }
}

/// Trouble with the notes is no damage of the store, and must not be taken for it.
pub(super) fn trouble(error: Error) -> Error {
    if let Error::ToSqlConversionFailure(_) = error {
        return error;
    }
    Error::ToSqlConversionFailure(format!("the notes of the salvage, in SQLite's temporary folder: {error}").into())
}

fn place(row: &Row<'_>) -> Result<Place, Error> {
    Ok(Place { of: row.get(0)?, key: row.get(1)?, no: row.get(2)? })
}

fn named(row: &Row<'_>) -> Result<Named, Error> {
    Ok(Named { no: row.get(0)?, name: row.get(1)?, memory: row.get(2)? })
}
