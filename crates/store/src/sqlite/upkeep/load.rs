//! Loading a dump.

use std::{io::BufRead, path::Path};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use types::{Domain, Timestamp};

use super::{Existing, UpkeepError, ceiling_of, copy::on_its_own, install::Site, open_flags, sqlite};
use crate::{
    Cell, CommitId, EntryId, OpenError, Version, checksum,
    dump::{self, Body, Entry, Header, Log, Reader, Record},
    engine::Head,
    faults::upkeep_step,
    id::{tick_of_version, version_of_tick},
    limits,
    sqlite::{lost::Lost, schema},
};

/// Lines between two reports.
const REPORT: u64 = 1000;

/// What became of loading a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Of a salvage: how many things of the old store are not in the new one.
    pub left_out: Option<u64>,
}

/// Makes a store of a dump, in a data folder in which nobody works and which holds none, or an empty one. It gets its name
/// once all of the dump is in it and has proved to be whole. `progress` hears how many bytes were read.
///
/// As after a restore, what is written later is newer than everything in the dump, and cursors into the time between are
/// recognised.
///
/// # Errors
/// [`UpkeepError`]; then the folder is as it was.
pub fn load(
    dump: impl BufRead,
    folder: &Path,
    domain: &Domain,
    now: Timestamp,
    progress: &mut dyn FnMut(u64),
) -> Result<Loaded, UpkeepError> {
    let (header, reader) = Reader::begin(dump)?;
    if header.domain != domain.as_str() {
        return Err(OpenError::OtherDomain { stored: header.domain, asked: domain.clone() }.into());
    }
    let site = Site::enter(folder, Existing::Refuse)?;
    let before = ceiling_of(folder);
    let filled = fill(site.copying(), domain, &header, before, reader, progress);
    match filled {
        Ok(loaded) => site.install(now).map(|_| loaded),
        Err(error) => {
            site.leave();
            Err(error)
        }
    }
}

fn fill(
    file: &Path,
    domain: &Domain,
    header: &Header,
    before: Version,
    mut reader: Reader<impl BufRead>,
    progress: &mut dyn FnMut(u64),
) -> Result<Loaded, UpkeepError> {
    let failed = |error: rusqlite::Error| sqlite(file, &error);
    let ceiling = tick_of_version(header.ceiling);
    if version_of_tick(ceiling) != header.ceiling {
        return Err(reader.problem("its ceiling is beyond all times").into());
    }
    let conn = Connection::open_with_flags(file, open_flags()).map_err(failed)?;
    // If this does not come to its end, the file is thrown away.
    conn.pragma_update(None, "journal_mode", "off").map_err(failed)?;
    conn.pragma_update(None, "synchronous", "off").map_err(failed)?;
    conn.execute_batch("BEGIN").map_err(failed)?;
    schema::create(&conn, domain, header.node).map_err(failed)?;
    // A damaged store may have lost what its ceiling was.
    let most = if header.salvage { u64::MAX } else { ceiling };
    let mut loading = Loading { conn: &conn, node: header.node, ceiling: most, newest: 0, log: None };
    let mut lines = 0_u64;
    while let Some(record) = reader.next()? {
        match loading.take(record) {
            Ok(()) => {}
            Err(Refused::Line(problem)) => return Err(reader.problem(problem).into()),
            Err(Refused::Sqlite(error))
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
            {
                return Err(reader.problem("it is there twice").into());
            }
            Err(Refused::Sqlite(error)) => return Err(failed(error)),
        }
        lines += 1;
        if lines.is_multiple_of(REPORT) {
            progress(reader.bytes());
        }
    }
    progress(reader.bytes());
    let mut lost = Lost::of(header.lost.clone());
    // What was left out may be of any time: whoever reads on where he was would miss it without a word.
    let whole = reader.left_out().unwrap_or(0) == 0;
    lost.begin(if whole { loading.newest } else { 0 });
    schema::set_ceiling(&conn, header.ceiling.max(before).max(version_of_tick(loading.newest)))
        .and_then(|()| schema::set_lost(&conn, &lost))
        .map_err(failed)?;
    upkeep_step();
    conn.execute_batch("COMMIT").map_err(failed)?;
    upkeep_step();
    on_its_own(&conn).map_err(failed)?;
    Ok(Loaded { left_out: reader.left_out() })
}

/// Why a line was not taken.
enum Refused {
    Line(&'static str),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

struct Loading<'a> {
    conn: &'a Connection,
    node: u64,
    /// Nothing in the dump is newer.
    ceiling: u64,
    /// What is, so far.
    newest: u64,
    log: Option<Filling>,
}

/// The log whose entries are read.
struct Filling {
    no: i64,
    name: Bytes,
    memory: i64,
    last: Option<EntryId>,
    pos: i64,
}

impl Loading<'_> {
    fn take(&mut self, record: Record) -> Result<(), Refused> {
        match record {
            Record::Head(head) => self.head(head),
            Record::Row(row) => self.row("rows", row),
            Record::Plain(row) => self.row("plain", row),
            Record::Body(body) => self.body(&body),
            Record::Log(log) => self.log(log),
            Record::Entry(entry) => self.entry(&entry),
            Record::Dump(_) | Record::End(_) => Err(Refused::Line("it is in the wrong place")),
        }
    }

    fn head(&mut self, head: dump::Head) -> Result<(), Refused> {
        name(&head.of)?;
        within(head.recent.len(), limits::RECENT)?;
        let recent = head.recent.into_iter().map(|(id, version)| (CommitId(id), version)).collect();
        let cell = Head { version: head.version, recent }.cell();
        self.insert("rows", (&head.of, Head::KEY), head.version, &cell, head.expires)
    }

    fn row(&mut self, table: &str, row: dump::Row) -> Result<(), Refused> {
        name(&row.of)?;
        if row.key.len() < 2 {
            return Err(Refused::Line("its key is shorter than a tag"));
        }
        within(row.key.len(), limits::KEY + 2)?;
        let cell = Cell { json: row.json, bin: row.bin };
        within(cell.len(), limits::LARGE_VALUE)?;
        self.insert(table, (&row.of, &row.key), row.version, &cell, row.expires)
    }

    fn insert(
        &mut self,
        table: &str,
        (of, key): (&[u8], &[u8]),
        version: Version,
        cell: &Cell,
        expires: Option<Timestamp>,
    ) -> Result<(), Refused> {
        self.seen(tick_of_version(version))?;
        let sql = match table {
            "rows" => "INSERT INTO rows(agg, key, version, json, bin, expires, crc) VALUES (?1,?2,?3,?4,?5,?6,?7)",
            _ => "INSERT INTO plain(agg, key, version, json, bin, expires, crc) VALUES (?1,?2,?3,?4,?5,?6,?7)",
        };
        self.conn.prepare_cached(sql)?.execute(params![
            of,
            key,
            version.micros().cast_signed(),
            cell.json,
            cell.bin.as_deref(),
            expires.map(Timestamp::micros),
            checksum::row(of, key, version, cell, expires)
        ])?;
        Ok(())
    }

    fn body(&self, body: &Body) -> Result<(), Refused> {
        within(body.bytes.len(), limits::BODY)?;
        self.conn.prepare_cached("INSERT INTO body(no, bytes, crc) VALUES (?1, ?2, ?3)")?.execute((
            body.no.cast_signed(),
            &body.bytes[..],
            checksum::body(&body.bytes),
        ))?;
        Ok(())
    }

    fn log(&mut self, log: Log) -> Result<(), Refused> {
        name(&log.name)?;
        let memory = i64::try_from(log.memory).map_err(|_| Refused::Line("its memory is beyond all times"))?;
        let no: i64 = self
            .conn
            .prepare_cached("INSERT INTO log_name(name, memory) VALUES (?1, ?2) RETURNING no")?
            .query_row((&log.name[..], memory), |row| row.get(0))?;
        self.log = Some(Filling { no, name: log.name, memory, last: None, pos: no << 32 });
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Refused> {
        let Entry { id, key, meta, body, shared, expires } = entry;
        self.seen(id.tick())?;
        let Some(log) = &mut self.log else { return Err(Refused::Line("it is in no log")) };
        if *id != EntryId::new(id.tick(), self.node) {
            return Err(Refused::Line("its id is of another node: an embedded store has one"));
        }
        if log.last.is_some_and(|last| last >= *id) {
            return Err(Refused::Line("its id is not above that before it"));
        }
        within(key.len() + meta.len() + body.as_ref().map_or(0, Bytes::len), limits::ENTRY)?;
        let shared = shared.map(u64::cast_signed);
        if let Some(no) = shared {
            let mut there = self.conn.prepare_cached("SELECT 1 FROM body WHERE no = ?1")?;
            if there.query_row([no], |_| Ok(())).optional()?.is_none() {
                return Err(Refused::Line("it shares a body that is not there"));
            }
        }
        if log.pos & 0xffff_ffff == 0xffff_ffff {
            return Err(Refused::Line("its log has too many entries"));
        }
        log.pos += 1;
        let crc = checksum::entry((&log.name, id.tick()), key, meta, body.as_deref(), shared, *expires);
        self.conn
            .prepare_cached(
                "INSERT INTO log(pos, tick, key, meta, body, body_ref, expires, crc) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
            )?
            .execute(params![
                log.pos,
                id.tick().cast_signed(),
                &key[..],
                &meta[..],
                body.as_deref(),
                shared,
                expires.map(Timestamp::micros),
                crc
            ])?;
        if log.last.replace(*id).is_none() {
            let due = expires.map(|expires| expires.micros().saturating_add(log.memory));
            self.conn.prepare_cached("UPDATE log_name SET due = ?2 WHERE no = ?1")?.execute((log.no, due))?;
        }
        Ok(())
    }

    fn seen(&mut self, tick: u64) -> Result<(), Refused> {
        self.newest = self.newest.max(tick);
        if tick > self.ceiling {
            return Err(Refused::Line("it is newer than the ceiling of the clock"));
        }
        Ok(())
    }
}

fn name(bytes: &[u8]) -> Result<(), Refused> {
    if bytes.len() < 2 {
        return Err(Refused::Line("its name is shorter than a tag"));
    }
    within(bytes.len(), limits::NAME + 2)
}

fn within(bytes: usize, limit: usize) -> Result<(), Refused> {
    if bytes > limit { Err(Refused::Line("it is larger than the store's limits")) } else { Ok(()) }
}
