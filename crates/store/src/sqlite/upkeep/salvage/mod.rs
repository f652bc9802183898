//! A dump of what can still be read of a damaged store.
//!
//! First everything is looked at, table by table: rows by their number, around pages that cannot be read, and what the index
//! of a table tells of besides. What is sound is noted. Then it is written in the order of a dump, so that it can be loaded
//! and a check finds nothing wrong with it.

mod notes;
mod sound;
mod walk;

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use bytes::Bytes;
use rusqlite::{Connection, Error, OptionalExtension, Params, Row};

use super::{Problem, Progress, Standing, UpkeepError, check, copy::Partial, dump::row_record, io_error, sqlite};
use crate::{
    Catalogue, Corrupt, Version,
    dump::{self, Body, Header, Log, Record, Writer},
    id::{tick_of_version, version_of_tick},
    key,
    sqlite::columns::{self, Stored},
};
use notes::{Named, Notes};
use walk::is_damage;

/// Things between two reports.
const REPORT: u64 = 1000;

/// Rows stand in two tables, of the same columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Guarded,
    Plain,
}

impl Space {
    const fn table(self) -> &'static str {
        match self {
            Self::Guarded => "rows",
            Self::Plain => "plain",
        }
    }
}

impl Standing {
    /// Writes down what is sound, and leaves out what is damaged or cannot be read. Each thing that is left out is told.
    /// Gives back where it was written to, flushed, and how many things were left out.
    ///
    /// The dump says of itself that it is a salvage. Heads that are lost are made anew from the rows of their aggregates.
    ///
    /// # Errors
    /// [`UpkeepError`], if it cannot be written, or SQLite cannot read for another reason than damage.
    pub fn salvage<W: Write>(
        &self,
        to: W,
        tables: &Catalogue,
        left_out: &mut dyn FnMut(&Problem),
        progress: Progress<'_>,
    ) -> Result<(W, u64), UpkeepError> {
        let ceiling = version_of_tick(tick_of_version(self.meta.ceiling));
        let header = Header {
            // What is no time of a clock is not above anything. Whoever loads a salvage raises it.
            ceiling: if ceiling == self.meta.ceiling { ceiling } else { Version::NEVER },
            salvage: true,
            ..self.header()
        };
        let writer = Writer::begin(to, header)?;
        let notes = Notes::begin().map_err(|error| sqlite(&self.file, &notes::trouble(error)))?;
        let total = self.things().unwrap_or(0).saturating_mul(2);
        let mut salvage =
            Salvage { standing: self, tables, notes, writer, told: left_out, count: 0, done: 0, total, progress };
        salvage.store();
        salvage.look_at_rows(Space::Guarded)?;
        salvage.look_at_rows(Space::Plain)?;
        salvage.look_at_bodies()?;
        salvage.look_at_fresh()?;
        salvage.look_at_logs()?;
        salvage.structure();
        salvage.write_rows(Space::Guarded)?;
        salvage.write_rows(Space::Plain)?;
        salvage.write_bodies()?;
        salvage.write_logs()?;
        (salvage.progress)(total, total);
        let Salvage { writer, count, .. } = salvage;
        Ok((writer.end_salvage(count)?, count))
    }

    /// The same into a file, which has the name only once it is whole.
    ///
    /// # Errors
    /// [`UpkeepError`]; then there is no file of that name.
    pub fn salvage_to(
        &self,
        to: &Path,
        tables: &Catalogue,
        left_out: &mut dyn FnMut(&Problem),
        progress: Progress<'_>,
    ) -> Result<u64, UpkeepError> {
        let partial = Partial::begin(to)?;
        let (_, count) =
            self.salvage(BufWriter::new(partial.file()), tables, left_out, progress).map_err(|error| match error {
                UpkeepError::Dump(dump::DumpError::Io(error)) => io_error(partial.path())(error),
                other => other,
            })?;
        partial.keep().map(|()| count)
    }
}

struct Salvage<'a, W> {
    standing: &'a Standing,
    tables: &'a Catalogue,
    notes: Notes,
    writer: Writer<W>,
    told: &'a mut dyn FnMut(&Problem),
    /// Things that were left out.
    count: u64,
    /// Things that were looked at and written.
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl<'a, W: Write> Salvage<'a, W> {
    fn conn(&self) -> &'a Connection {
        &self.standing.conn
    }

    fn failed(&self, error: &Error) -> UpkeepError {
        sqlite(&self.standing.file, error)
    }

    /// What the notes say.
    fn noted<T>(&self, ask: impl FnOnce(&Notes) -> Result<T, Error>) -> Result<T, UpkeepError> {
        ask(&self.notes).map_err(|error| self.failed(&notes::trouble(error)))
    }

    fn leave_out(&mut self, table: &str, key: Option<String>, what: impl Into<String>) {
        self.count += 1;
        (self.told)(&Problem { table: table.to_owned(), key, what: what.into() });
    }

    fn put(&mut self, record: &Record) -> Result<(), UpkeepError> {
        self.step();
        Ok(self.writer.put(record)?)
    }

    fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(REPORT) {
            (self.progress)(self.done.min(self.total), self.total);
        }
    }

    /// Reads one row. `None` if it is not there, or damaged.
    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Corrupt>,
    ) -> Result<Option<T>, UpkeepError> {
        let found = self.conn().prepare_cached(sql).and_then(|mut statement| {
            statement.query_row(values, |row| Ok(read(row).ok())).optional().map(Option::flatten)
        });
        match found {
            Err(error) if is_damage(&error) => Ok(None),
            other => other.map_err(|error| self.failed(&error)),
        }
    }

    /// What is missing of the store as a whole.
    fn store(&mut self) {
        let lost = self.standing.lost_commits();
        if lost > 0 {
            self.leave_out("meta", Some("commits".into()), format!("the last {lost} commits are lost"));
        }
    }

    /// Where nothing is missing as far as anybody can see, something can be missing all the same: a page that says of itself
    /// that it holds less than it does is read without complaint, and only looking at its bytes shows that.
    fn structure(&mut self) {
        if self.count == 0 {
            check::structure(self.conn(), &mut |line| self.leave_out("database", None, line));
        }
    }

    /// Writes the rows that are sound. An aggregate without its head gets one.
    fn write_rows(&mut self, space: Space) -> Result<(), UpkeepError> {
        let sql = format!("SELECT agg, key, version, json, bin, expires, crc FROM {} WHERE no = ?1", space.table());
        let (mut last, mut of) = (None, None::<Vec<u8>>);
        while let Some(place) = self.noted(|notes| notes.next_found(space as i64, last.as_ref()))? {
            let mut record = self.one(&sql, [place.no], |row| {
                let stored = Stored::take(row, 2, &place.of, &place.key)?;
                row_record(self.tables, space.table(), &place.of, &place.key, stored)
            })?;
            if space == Space::Guarded && of.as_ref() != Some(&place.of) {
                of = Some(place.of.clone());
                let newest = self.noted(|notes| notes.newest(space as i64, &place.of))?;
                match &mut record {
                    Some(Record::Head(head)) if head.version < newest => {
                        head.version = newest;
                        let name = head.kind.clone().unwrap_or_else(|| super::unnamed("aggregate", &place.of));
                        let what = "what it knows of its last commits is older than its rows";
                        self.leave_out(&name, Some(super::shown(&place.of, &place.key)), what);
                    }
                    Some(Record::Head(_)) => {}
                    _ => self.write_head(&place.of, newest)?,
                }
            }
            match record {
                Some(record) => self.put(&record)?,
                None => self.leave_out(space.table(), Some(super::shown(&place.of, &place.key)), "it cannot be read"),
            }
            last = Some(place);
        }
        Ok(())
    }

    /// A head for an aggregate that has lost its own: it knows none of its commits, and is as new as its newest row.
    fn write_head(&mut self, of: &[u8], version: Version) -> Result<(), UpkeepError> {
        let kind = key::tag(of).and_then(|tag| self.tables.aggregate(tag)).map(|kind| kind.name.to_owned());
        let of = Bytes::copy_from_slice(of);
        self.put(&Record::Head(dump::Head { of, kind, version, recent: Vec::new(), expires: None }))
    }

    fn write_bodies(&mut self) -> Result<(), UpkeepError> {
        let mut last = i64::MIN;
        while let Some(no) = self.noted(|notes| notes.next_body(last))? {
            let bytes = self.one("SELECT bytes FROM body WHERE no = ?1", [no], |row| {
                columns::blob(row, 0).map(Bytes::copy_from_slice)
            })?;
            match bytes {
                Some(bytes) => self.put(&Record::Body(Body { no: no.cast_unsigned(), bytes }))?,
                None => {
                    self.noted(|notes| notes.body_is_gone(no))?;
                    self.leave_out("body", Some(no.to_string()), "it cannot be read");
                }
            }
            last = no;
        }
        Ok(())
    }

    fn write_logs(&mut self) -> Result<(), UpkeepError> {
        let mut last = Vec::new();
        while let Some(Named { no, name, memory }) = self.noted(|notes| notes.next_log(&last))? {
            let kind = key::tag(&name).and_then(|tag| self.tables.log(tag));
            // It is told to readers beyond the expiry: what the release says is as good.
            let declared = kind.map_or(0, |kind| i64::try_from(kind.memory.as_micros()).unwrap_or(i64::MAX));
            let memory = memory.filter(|memory| *memory >= 0).unwrap_or(declared).cast_unsigned();
            let kind = kind.map(|kind| kind.name.to_owned());
            self.put(&Record::Log(Log { name: Bytes::copy_from_slice(&name), kind, memory }))?;
            let mut seq = 0;
            while let Some((pos, fresh)) = self.noted(|notes| notes.next_entry(no, seq))? {
                seq += 1;
                let entry = self.entry_at(pos, fresh, &name)?;
                let body = entry.as_ref().and_then(|entry| entry.shared);
                let body_is_there = match body {
                    Some(body) => self.noted(|notes| notes.uses(body.cast_signed()))?,
                    None => true,
                };
                match entry.filter(|_| body_is_there) {
                    Some(entry) => self.put(&Record::Entry(entry))?,
                    None => self.leave_out("log", Some(key::show(&name)), "an entry cannot be read"),
                }
            }
            last = name;
        }
        Ok(())
    }

    /// An entry by its position, or by its number in `fresh`.
    fn entry_at(&self, pos: i64, fresh: Option<i64>, name: &[u8]) -> Result<Option<dump::Entry>, UpkeepError> {
        let (sql, at) = match fresh {
            None => ("SELECT tick, key, meta, body, body_ref, expires, crc FROM log WHERE pos = ?1", pos),
            Some(no) => ("SELECT tick, key, meta, body, body_ref, expires, crc FROM fresh WHERE no = ?1", no),
        };
        self.one(sql, [at], |row| super::dump::entry(row, name, self.standing.meta.node))
    }
}
