//! How much there is of everything.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Standing, UpkeepError, copy::with_suffix, sqlite, unnamed};
use crate::{
    Catalogue, Version, key,
    sqlite::extent::{entries_of, positions},
};

/// What is in a store, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The backend domain.
    pub domain: String,
    /// The format.
    pub format: u32,
    /// Above all versions that were handed out, in microseconds since 1970.
    pub ceiling: Version,
    /// Bytes of the database.
    pub file_bytes: u64,
    /// Bytes of SQLite's log beside it.
    pub wal_bytes: u64,
    /// Bytes in pages of the database that hold nothing: they are used again.
    pub free_bytes: u64,
    /// Guarded tables, and the heads of aggregates.
    pub guarded: Vec<TableStats>,
    /// Plain tables.
    pub plain: Vec<TableStats>,
    /// Logs by their kind.
    pub logs: Vec<LogStats>,
    /// Bodies that entries share.
    pub bodies: TableStats,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableStats {
    /// Its name, or its tag where that is all that is known.
    pub table: String,
    /// Rows, expired ones included.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// All logs of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogStats {
    /// Its name, or its tag where that is all that is known.
    pub kind: String,
    /// Logs.
    pub logs: u64,
    /// Entries in all of them, expired ones included.
    pub entries: u64,
    /// Bytes of the entries, without bodies that they share.
    pub bytes: u64,
    /// Entries of the longest.
    pub longest: u64,
}

impl Standing {
    /// Counts everything.
    ///
    /// # Errors
    /// [`UpkeepError`]
    pub fn stats(&self, tables: &Catalogue) -> Result<Stats, UpkeepError> {
        self.count(tables).map_err(|error| sqlite(&self.file, &error))
    }

    fn count(&self, tables: &Catalogue) -> Result<Stats, rusqlite::Error> {
        let pragma = |name| self.conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0).map(unsigned));
        let page: u64 = pragma("page_size")?;
        let wal = with_suffix(&self.file, "-wal").metadata().map_or(0, |metadata| metadata.len());
        let guarded = self.tables("rows", "key", |bytes| {
            let name = key::tag(bytes).and_then(|tag| tables.guarded(tag)).map(|table| table.name);
            match bytes {
                [0] => "(heads of aggregates)".into(),
                _ => name.map_or_else(|| unnamed("guarded table", bytes), str::to_owned),
            }
        })?;
        let plain = self.tables("plain", "agg", |bytes| {
            let name = key::tag(bytes).and_then(|tag| tables.plain(tag)).map(|table| table.name);
            name.map_or_else(|| unnamed("plain table", bytes), str::to_owned)
        })?;
        let bodies = self.conn.query_row("SELECT count(*), sum(length(bytes)) FROM body", [], |row| {
            let bytes: Option<i64> = row.get(1)?;
            Ok(TableStats { table: "body".into(), rows: unsigned(row.get(0)?), bytes: unsigned(bytes.unwrap_or(0)) })
        })?;
        Ok(Stats {
            domain: self.meta.domain.clone(),
            format: self.meta.format,
            ceiling: self.meta.ceiling,
            file_bytes: pragma("page_count")? * page,
            wal_bytes: wal,
            free_bytes: pragma("freelist_count")? * page,
            guarded,
            plain,
            logs: self.logs(tables)?,
            bodies,
        })
    }

    fn tables(
        &self,
        table: &str,
        tagged: &str,
        name: impl Fn(&[u8]) -> String,
    ) -> Result<Vec<TableStats>, rusqlite::Error> {
        let sql = format!(
            "SELECT substr({tagged}, 1, 2), count(*), sum(length(agg) + length(key) + ifnull(octet_length(json), 0) +
             ifnull(length(bin), 0)) FROM {table} GROUP BY 1 ORDER BY 1"
        );
        let mut statement = self.conn.prepare(&sql)?;
        let rows = statement.query_map([], |row| {
            let table = name(row.get_ref(0)?.as_blob().unwrap_or_default());
            Ok(TableStats { table, rows: unsigned(row.get(1)?), bytes: unsigned(row.get(2)?) })
        })?;
        rows.collect()
    }

    fn logs(&self, tables: &Catalogue) -> Result<Vec<LogStats>, rusqlite::Error> {
        let mut logs = self.conn.prepare("SELECT no, name FROM log_name ORDER BY name")?;
        let mut entries = self.conn.prepare(&format!(
            "SELECT count(*), sum(bytes) FROM ({})",
            entries_of("length(key) + length(meta) + ifnull(length(body), 0) AS bytes")
        ))?;
        let mut kinds: BTreeMap<String, LogStats> = BTreeMap::new();
        let mut found = logs.query([])?;
        while let Some(row) = found.next()? {
            let (no, name): (i64, _) = (row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default());
            let (count, bytes): (i64, Option<i64>) =
                entries.query_row(positions(no), |row| Ok((row.get(0)?, row.get(1)?)))?;
            let kind = key::tag(name).and_then(|tag| tables.log(tag)).map(|kind| kind.name);
            let kind = kind.map_or_else(|| unnamed("log", name), str::to_owned);
            let stats =
                kinds.entry(kind.clone()).or_insert(LogStats { kind, logs: 0, entries: 0, bytes: 0, longest: 0 });
            let count = unsigned(count);
            stats.logs += 1;
            stats.entries += count;
            stats.bytes += unsigned(bytes.unwrap_or(0));
            stats.longest = stats.longest.max(count);
        }
        Ok(kinds.into_values().collect())
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
