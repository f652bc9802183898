//! Dumping a database.

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use bytes::Bytes;
use rusqlite::{Connection, Row, Statement};
use types::Timestamp;

use super::{Met, Progress, Standing, UpkeepError, check::Problem, copy::Partial, io_error, shown, sqlite};
use crate::{
    Catalogue, Corrupt, EntryId, checksum,
    dump::{self, Body, Entry, Header, Log, Record, Writer},
    engine::Head,
    key,
    sqlite::{
        columns::{self, Stored},
        extent::{entries_of, positions, used},
    },
};

/// Lines between two reports.
const REPORT: u64 = 1000;

/// Why a thing was not dumped.
enum Stop {
    Met(Met),
    Dump(dump::DumpError),
}

impl<T: Into<Met>> From<T> for Stop {
    fn from(met: T) -> Self {
        Self::Met(met.into())
    }
}

impl Standing {
    /// Writes all of it down, and gives back where it was written to, flushed.
    ///
    /// # Errors
    /// [`UpkeepError`]; a damaged store is not dumped further than up to the damage, and one that has lost commits not at
    /// all.
    pub fn dump<W: Write>(&self, to: W, tables: &Catalogue, progress: Progress<'_>) -> Result<W, UpkeepError> {
        self.whole()?;
        let total = self.things().map_err(|error| sqlite(&self.file, &error))?;
        let writer = Writer::begin(to, self.header())?;
        let mut dump = Dump { standing: self, tables, writer, total, progress };
        dump.rows("rows")?;
        dump.rows("plain")?;
        dump.bodies()?;
        dump.logs()?;
        (dump.progress)(total, total);
        dump.all_of()?;
        Ok(dump.writer.end()?)
    }

    /// Writes all of it down into a file, which has the name only once it is whole.
    ///
    /// # Errors
    /// [`UpkeepError`]; then there is no file of that name.
    pub fn dump_to(&self, to: &Path, tables: &Catalogue, progress: Progress<'_>) -> Result<(), UpkeepError> {
        let partial = Partial::begin(to)?;
        self.dump(BufWriter::new(partial.file()), tables, progress).map_err(|error| match error {
            UpkeepError::Dump(dump::DumpError::Io(error)) => io_error(partial.path())(error),
            other => other,
        })?;
        partial.keep()
    }

    /// What a dump says of the whole store.
    pub(super) fn header(&self) -> Header {
        Header {
            format: dump::FORMAT,
            domain: self.meta.domain.clone(),
            node: self.meta.node,
            ceiling: self.meta.ceiling,
            lost: self.meta.lost.spans().to_vec(),
            salvage: false,
        }
    }

    /// How many rows and entries there are.
    pub(super) fn things(&self) -> Result<u64, rusqlite::Error> {
        let count = |table| {
            let sql = format!("SELECT count(*) FROM {table}");
            self.conn.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(|count| u64::try_from(count).unwrap_or(0))
        };
        Ok(count("rows")? + count("plain")? + count("body")? + count("log_name")? + count("log")? + count("fresh")?)
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.things().is_ok_and(|things| things == 0)
    }
}

struct Dump<'a, W> {
    standing: &'a Standing,
    tables: &'a Catalogue,
    writer: Writer<W>,
    total: u64,
    progress: Progress<'a>,
}

impl<W: Write> Dump<'_, W> {
    fn put(&mut self, record: &Record) -> Result<(), Stop> {
        self.writer.put(record).map_err(Stop::Dump)?;
        if self.writer.lines().is_multiple_of(REPORT) {
            (self.progress)(self.writer.lines().min(self.total), self.total);
        }
        Ok(())
    }

    /// Whether everything was written that there is: an entry whose log has no name would be left out without a word.
    fn all_of(&self) -> Result<(), UpkeepError> {
        let file = &self.standing.file;
        let unused = format!("SELECT count(*) FROM body WHERE NOT {}", used("body.no"));
        let unused: i64 =
            self.standing.conn.query_row(&unused, [], |row| row.get(0)).map_err(|error| sqlite(file, &error))?;
        // The first line tells of the store itself.
        let missing = self.total.saturating_sub(unused.unsigned_abs()).abs_diff(self.writer.lines() - 1);
        if missing == 0 {
            return Ok(());
        }
        let what = format!("{missing} rows or entries are not where they belong: a check names them");
        let first = Problem { table: "store".to_owned(), key: None, what };
        Err(UpkeepError::Damaged { file: file.clone(), problems: missing, first })
    }

    fn rows(&mut self, table: &'static str) -> Result<(), UpkeepError> {
        let sql = format!("SELECT agg, key, version, json, bin, expires, crc FROM {table} ORDER BY agg, key");
        self.each(table, &sql, |this, row| {
            let (of, key) = (columns::blob(row, 0)?, columns::blob(row, 1)?);
            let stored = Stored::take(row, 2, of, key)?;
            let record = row_record(this.tables, table, of, key, stored)?;
            this.put(&record)
        })
    }

    fn bodies(&mut self) -> Result<(), UpkeepError> {
        // One that nobody has any more is not worth keeping.
        let sql = format!("SELECT no, bytes, crc FROM body WHERE {} ORDER BY no", used("body.no"));
        self.each("body", &sql, |this, row| {
            let (no, bytes) = (columns::number(row, 0)?, columns::blob(row, 1)?);
            if columns::number(row, 2)? != i64::from(checksum::body(bytes)) {
                return Err(Corrupt("a checksum that does not fit").into());
            }
            let bytes = Bytes::copy_from_slice(bytes);
            this.put(&Record::Body(Body { no: no.cast_unsigned(), bytes }))
        })
    }

    fn logs(&mut self) -> Result<(), UpkeepError> {
        let sql = "SELECT no, name, memory FROM log_name ORDER BY name";
        let conn = &self.standing.conn;
        let mut entries = conn
            .prepare(&entries_of("tick, key, meta, body, body_ref, expires, crc"))
            .map_err(|error| sqlite(&self.standing.file, &error))?;
        self.each("log_name", sql, |this, row| {
            let (no, name, memory) = (columns::number(row, 0)?, columns::blob(row, 1)?, columns::number(row, 2)?);
            let kind = key::tag(name).and_then(|tag| this.tables.log(tag)).map(|kind| kind.name.to_owned());
            let log = Log { name: Bytes::copy_from_slice(name), kind, memory: memory.cast_unsigned() };
            this.put(&Record::Log(log))?;
            this.entries(&mut entries, no, name)
        })
    }

    fn entries(&mut self, statement: &mut Statement<'_>, no: i64, name: &[u8]) -> Result<(), Stop> {
        let mut found = statement.query(positions(no))?;
        while let Some(row) = found.next()? {
            let entry = entry(row, name, self.standing.meta.node)?;
            self.put(&Record::Entry(entry))?;
        }
        Ok(())
    }

    fn each(
        &mut self,
        table: &'static str,
        sql: &str,
        mut put: impl FnMut(&mut Self, &Row<'_>) -> Result<(), Stop>,
    ) -> Result<(), UpkeepError> {
        let (conn, file): (&Connection, _) = (&self.standing.conn, &self.standing.file);
        let failed = |error| sqlite(file, &error);
        let mut statement = conn.prepare(sql).map_err(failed)?;
        let mut found = statement.query([]).map_err(failed)?;
        while let Some(row) = found.next().map_err(failed)? {
            put(self, row).map_err(|stop| match stop {
                Stop::Dump(error) => UpkeepError::Dump(error),
                Stop::Met(Met::Sqlite(error)) => failed(error),
                Stop::Met(Met::Damage(Corrupt(what))) => {
                    let bytes = |at| columns::optional_blob(row, at).ok().flatten().unwrap_or_default();
                    let key = match table {
                        "log_name" => key::show(bytes(1)),
                        "body" => columns::number(row, 0).map_or_else(|_| String::new(), |no| no.to_string()),
                        _ => shown(bytes(0), bytes(1)),
                    };
                    let first = Problem { table: table.to_owned(), key: Some(key), what: what.to_owned() };
                    UpkeepError::Damaged { file: file.clone(), problems: 1, first }
                }
            })?;
        }
        Ok(())
    }
}

/// A row of one of the two tables of rows, or a head.
pub(super) fn row_record(
    tables: &Catalogue,
    table: &str,
    of: &[u8],
    key: &[u8],
    stored: Stored,
) -> Result<Record, Corrupt> {
    let of = Bytes::copy_from_slice(of);
    if table == "rows" && key == Head::KEY {
        let head = Head::of(&stored)?;
        return Ok(Record::Head(dump::Head {
            kind: key::tag(&of).and_then(|tag| tables.aggregate(tag)).map(|kind| kind.name.to_owned()),
            of,
            version: head.version,
            recent: head.recent.into_iter().map(|(id, version)| (id.0, version)).collect(),
            expires: stored.expires,
        }));
    }
    let tag = key::tag(key);
    let name = match table {
        "rows" => tag.and_then(|tag| tables.guarded(tag)).map(|table| table.name),
        _ => tag.and_then(|tag| tables.plain(tag)).map(|table| table.name),
    };
    let row = dump::Row {
        of,
        table: name.map(str::to_owned),
        key: Bytes::copy_from_slice(key),
        version: stored.version,
        json: stored.cell.json,
        bin: stored.cell.bin,
        expires: stored.expires,
    };
    Ok(if table == "rows" { Record::Row(row) } else { Record::Plain(row) })
}

/// The columns `tick, key, meta, body, body_ref, expires, crc` of an entry.
pub(super) fn entry(row: &Row<'_>, name: &[u8], node: u64) -> Result<Entry, Corrupt> {
    let tick = columns::number(row, 0)?.cast_unsigned();
    let (key, meta, body) = (columns::blob(row, 1)?, columns::blob(row, 2)?, columns::optional_blob(row, 3)?);
    let (shared, expires) = (columns::optional_number(row, 4)?, columns::optional_number(row, 5)?);
    let expires = expires.map(Timestamp::from_micros);
    if columns::number(row, 6)? != i64::from(checksum::entry((name, tick), key, meta, body, shared, expires)) {
        return Err(Corrupt("a checksum that does not fit"));
    }
    let copy = Bytes::copy_from_slice;
    let (id, shared) = (EntryId::new(tick, node), shared.map(i64::cast_unsigned));
    Ok(Entry { id, key: copy(key), meta: copy(meta), body: body.map(copy), shared, expires })
}
