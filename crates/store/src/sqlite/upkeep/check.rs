//! Looking at everything: SQLite's structure, and each row, entry and body.

use std::{collections::BTreeMap, fmt, path::Path};

use rusqlite::{Connection, Row};
use serde::Serialize;

use super::{Met, Progress, Standing, UpkeepError, dump::entry, shown, unnamed};
use crate::{
    Catalogue, Corrupt, Version, checksum,
    engine::Head,
    id::{tick_of_version, version_of_tick},
    key,
    sqlite::{
        columns::{self, Stored},
        extent::{TABLES, entries_of, positions, used},
    },
};

/// Problems that are told one by one.
const PROBLEMS: usize = 1000;
/// Problems of the structure that SQLite looks for.
const STRUCTURE: u32 = 100;
/// Things between two reports.
const REPORT: u64 = 1000;

/// What looking at everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What was looked at.
    pub counts: Counts,
    /// What is wrong; of very much that is wrong, the first part.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub more_problems: u64,
    /// Rows and entries of what this release has no table for, by its tag: a newer release of the same format has been at
    /// work. That is no damage; their checksums were looked at.
    pub unknown: BTreeMap<String, u64>,
    /// The newest tick of a version or an entry.
    #[serde(skip)]
    pub(super) newest: u64,
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Aggregates that have a head.
    pub aggregates: u64,
    /// Guarded rows.
    pub rows: u64,
    /// Plain rows.
    pub plain: u64,
    /// Logs.
    pub logs: u64,
    /// Their entries.
    pub entries: u64,
    /// Bodies that entries share.
    pub bodies: u64,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The table, kind of aggregate or kind of log; of the structure, the database.
    pub table: String,
    /// The key, as far as it is known: as text, or hexadecimal.
    pub key: Option<String>,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{} at {key}: {}", self.table, self.what),
            None => write!(f, "{}: {}", self.table, self.what),
        }
    }
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// Rows and entries of tables that this release does not know.
    pub fn unknown_rows(&self) -> u64 {
        self.unknown.values().sum()
    }

    /// An error, unless nothing is wrong.
    pub(super) fn good_at(self, file: &Path) -> Result<Self, UpkeepError> {
        match self.problems.first() {
            None => Ok(self),
            Some(first) => Err(UpkeepError::Damaged {
                file: file.to_owned(),
                problems: self.problems.len() as u64 + self.more_problems,
                first: first.clone(),
            }),
        }
    }
}

impl Standing {
    /// Looks at everything: the structure of the file, checksums, that keys and values of tables that are known can be
    /// read, that rows are not newer than their aggregates, that logs are in order and their bodies there.
    pub fn check(&self, tables: &Catalogue, progress: Progress<'_>) -> Verdict {
        let total = self.things().unwrap_or(0);
        let (verdict, done) = (Verdict::default(), 0);
        let mut check = Check { conn: &self.conn, node: self.meta.node, tables, verdict, done, total, progress };
        check.structure();
        check.guarded();
        check.plain();
        check.bodies();
        check.logs();
        let newest = version_of_tick(check.verdict.newest);
        if newest > self.meta.ceiling {
            check.problem(
                "meta",
                Some("clock_ceiling".into()),
                "the ceiling of the clock is below what was handed out",
            );
        }
        let lost = self.lost_commits();
        if lost > 0 {
            check.problem("meta", Some("commits".into()), format!("the last {lost} commits are lost"));
        }
        (check.progress)(total, total);
        check.verdict
    }
}

/// Whether a guarded row, or a head, is one of its table. Of a table that is not known only its key is looked at.
pub(super) fn guarded(tables: &Catalogue, of: &[u8], key: &[u8], stored: &Stored) -> Result<(), Corrupt> {
    let kind = key::tag(of).ok_or(Corrupt("a name shorter than its tag"))?;
    if let Some(kind) = tables.aggregate(kind) {
        kind.id.check(of)?;
    }
    if key == Head::KEY {
        return Head::of(stored).and_then(|head| rises(&head));
    }
    let tag = key::tag(key).ok_or(Corrupt("a key shorter than its tag"))?;
    let Some(table) = tables.guarded(tag) else { return Ok(()) };
    table.key.check(key)?;
    table.value.check(&stored.cell)?;
    if kind == table.of { Ok(()) } else { Err(Corrupt("a row in an aggregate of another kind")) }
}

/// The same of a plain row.
pub(super) fn plain(tables: &Catalogue, of: &[u8], key: &[u8], stored: &Stored) -> Result<(), Corrupt> {
    let tag = key::tag(of).ok_or(Corrupt("a name shorter than its tag"))?;
    if key::tag(key) != Some(tag) {
        return Err(Corrupt("a key of another table"));
    }
    let Some(table) = tables.plain(tag) else { return Ok(()) };
    table.part.check(of)?;
    table.key.check(key)?;
    table.value.check(&stored.cell)
}

fn rises(head: &Head) -> Result<(), Corrupt> {
    let newest = head.recent.last().map_or(Version::NEVER, |(_, version)| *version);
    let rise = head.recent.windows(2).all(|two| two[0].1 < two[1].1) && newest <= head.version;
    if rise { Ok(()) } else { Err(Corrupt("versions of its commits that do not rise")) }
}

struct Check<'a> {
    conn: &'a Connection,
    node: u64,
    tables: &'a Catalogue,
    verdict: Verdict,
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

/// The aggregate whose rows are looked at.
#[derive(Default)]
struct Aggregate {
    bytes: Vec<u8>,
    /// The version of its head, if that can be read.
    head: Option<Version>,
    /// Whether its head is missing, and that was told.
    headless: bool,
}

impl Check<'_> {
    fn structure(&mut self) {
        structure(self.conn, &mut |line| self.problem("database", None, line));
    }

    fn guarded(&mut self) {
        let mut aggregate = Aggregate::default();
        self.each(
            "rows",
            "SELECT agg, key, version, json, bin, expires, crc FROM rows ORDER BY agg, key",
            &mut |this, row| this.guarded_row(row, &mut aggregate),
        );
    }

    fn guarded_row(&mut self, row: &Row<'_>, aggregate: &mut Aggregate) -> Result<(), Met> {
        let (of, key) = (columns::blob(row, 0)?, columns::blob(row, 1)?);
        let kind = key::tag(of).and_then(|tag| self.tables.aggregate(tag));
        let kind_name = kind.map_or_else(|| unnamed("aggregate", of), |kind| kind.name.to_owned());
        if aggregate.bytes != of {
            *aggregate = Aggregate { bytes: of.to_vec(), head: None, headless: key != Head::KEY };
            if let Some(kind) = kind {
                self.hold(&kind_name, of, &[], kind.id.check(of));
            }
            if aggregate.headless {
                self.problem(&kind_name, Some(key::show(of)), "the aggregate has no head");
            }
        }
        let stored = Stored::take(row, 2, of, key);
        if key == Head::KEY {
            self.verdict.counts.aggregates += 1;
            if kind.is_none() {
                self.unknown(&kind_name, of);
            }
            let head = stored.and_then(|stored| {
                let head = Head::of(&stored)?;
                rises(&head).map(|()| head)
            });
            match head {
                Ok(head) => {
                    self.newest(head.version);
                    aggregate.head = Some(head.version);
                }
                Err(corrupt) => self.hold(&kind_name, of, &[], Err(corrupt)),
            }
            return Ok(());
        }
        self.verdict.counts.rows += 1;
        let table = key::tag(key).and_then(|tag| self.tables.guarded(tag));
        let name = table.map_or_else(|| unnamed("guarded table", key), |table| table.name.to_owned());
        let stored = match stored {
            Ok(stored) => stored,
            Err(corrupt) => {
                self.hold(&name, of, key, Err(corrupt));
                return Ok(());
            }
        };
        self.newest(stored.version);
        match table {
            None => self.unknown(&name, key),
            Some(_) => self.hold(&name, of, key, guarded(self.tables, of, key, &stored)),
        }
        if aggregate.head.is_some_and(|head| head < stored.version) {
            self.problem(&name, Some(shown(of, key)), "it is newer than its aggregate");
        }
        Ok(())
    }

    fn plain(&mut self) {
        let sql = "SELECT agg, key, version, json, bin, expires, crc FROM plain ORDER BY agg, key";
        self.each("plain", sql, &mut |this, row| {
            this.verdict.counts.plain += 1;
            let (of, key) = (columns::blob(row, 0)?, columns::blob(row, 1)?);
            let table = key::tag(of).and_then(|tag| this.tables.plain(tag));
            let name = table.map_or_else(|| unnamed("plain table", of), |table| table.name.to_owned());
            let looked = Stored::take(row, 2, of, key).and_then(|stored| {
                this.newest(stored.version);
                plain(this.tables, of, key, &stored)?;
                if table.is_none() {
                    this.unknown(&name, of);
                }
                Ok(())
            });
            this.hold(&name, of, key, looked);
            Ok(())
        });
    }

    fn bodies(&mut self) {
        let sql = format!("SELECT no, bytes, crc, {} FROM body ORDER BY no", used("body.no"));
        self.each("body", &sql, &mut |this, row| {
            this.verdict.counts.bodies += 1;
            let no = columns::number(row, 0)?.to_string();
            if columns::number(row, 2)? != i64::from(checksum::body(columns::blob(row, 1)?)) {
                this.problem("body", Some(no), "a checksum that does not fit");
            } else if columns::number(row, 3)? == 0 {
                this.problem("body", Some(no), "no entry has it");
            }
            Ok(())
        });
    }

    fn logs(&mut self) {
        let mut entries = match self.conn.prepare(&entries_of(
            "tick, key, meta, body, body_ref, expires, crc, body_ref IS NULL OR EXISTS (SELECT 1 FROM body WHERE no = body_ref)",
        )) {
            Ok(entries) => entries,
            Err(error) => return self.problem("log", None, error.to_string()),
        };
        self.each("log_name", "SELECT no, name FROM log_name ORDER BY no", &mut |this, row| {
            this.verdict.counts.logs += 1;
            let (no, name) = (columns::number(row, 0)?, columns::blob(row, 1)?);
            let kind = key::tag(name).and_then(|tag| this.tables.log(tag));
            let kind_name = kind.map_or_else(|| unnamed("log", name), |kind| kind.name.to_owned());
            match kind {
                // Its entries are counted.
                None if name.len() < 2 => return Err(Corrupt("a name shorter than its tag").into()),
                None => {}
                Some(kind) => this.hold(&kind_name, name, &[], kind.id.check(name)),
            }
            let mut found = entries.query(positions(no))?;
            let (mut last, mut fresh) = (None, false);
            loop {
                match found.next() {
                    Ok(Some(row)) => {
                        this.entry(row, name, &kind_name, &mut last);
                        let is_fresh = columns::number(row, 9)? == 1;
                        if fresh && !is_fresh {
                            this.problem(
                                &kind_name,
                                Some(key::show(name)),
                                "an entry is not fresh, but one before it is",
                            );
                        }
                        fresh |= is_fresh;
                    }
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        this.broken(&kind_name, Some(key::show(name)), &error);
                        return Ok(());
                    }
                }
            }
        });
        let nobodys = |table| {
            let nobodys = "NOT EXISTS (SELECT 1 FROM log_name WHERE no = pos >> 32)";
            let sql = format!("SELECT count(*) FROM {table} WHERE {nobodys}");
            self.conn.query_row(&sql, [], |row| row.get::<_, i64>(0))
        };
        for (table, found) in TABLES.map(|table| (table, nobodys(table))) {
            match found {
                Ok(0) => {}
                Ok(count) => self.problem(table, None, format!("{count} entries belong to no log")),
                Err(error) => self.problem(table, None, error.to_string()),
            }
        }
    }

    fn entry(&mut self, row: &Row<'_>, name: &[u8], kind: &str, last: &mut Option<u64>) {
        self.verdict.counts.entries += 1;
        self.step();
        let at = |id: &dyn fmt::Display| Some(format!("{} {id}", key::show(name)));
        match entry(row, name, self.node) {
            Ok(entry) => {
                if key::tag(name).is_none_or(|tag| self.tables.log(tag).is_none()) {
                    self.unknown(kind, name);
                }
                let tick = entry.id.tick();
                self.verdict.newest = self.verdict.newest.max(tick);
                if last.replace(tick).is_some_and(|last| last >= tick) {
                    self.problem(kind, at(&entry.id), "its id is not above that of the entry before it");
                }
                if columns::number(row, 7) == Ok(0) {
                    self.problem(kind, at(&entry.id), "its body is not there");
                }
            }
            Err(corrupt) => {
                let tick = columns::number(row, 0).map(i64::cast_unsigned).unwrap_or_default();
                self.problem(kind, at(&crate::EntryId::new(tick, self.node)), corrupt.0);
            }
        }
    }

    /// Looks at all rows of a table. Where SQLite cannot go on, the rest of that table is left.
    fn each(&mut self, table: &str, sql: &str, look: &mut dyn FnMut(&mut Self, &Row<'_>) -> Result<(), Met>) {
        let conn = self.conn;
        let mut statement = match conn.prepare(sql) {
            Ok(statement) => statement,
            Err(error) => return self.broken(table, None, &error),
        };
        let mut found = match statement.query([]) {
            Ok(found) => found,
            Err(error) => return self.broken(table, None, &error),
        };
        let mut before = None;
        loop {
            match found.next() {
                Ok(Some(row)) => {
                    let bytes = |at| columns::optional_blob(row, at).ok().flatten().unwrap_or_default();
                    let key = shown(bytes(0), bytes(1));
                    self.step();
                    match look(self, row) {
                        Ok(()) => {}
                        Err(Met::Damage(Corrupt(what))) => self.problem(table, Some(key.clone()), what),
                        Err(Met::Sqlite(error)) => return self.broken(table, Some(key), &error),
                    }
                    before = Some(key);
                }
                Ok(None) => return,
                Err(error) => return self.broken(table, before.map(|key| format!("what comes after {key}")), &error),
            }
        }
    }

    fn hold(&mut self, table: &str, of: &[u8], key: &[u8], looked: Result<(), Corrupt>) {
        if let Err(Corrupt(what)) = looked {
            self.problem(table, Some(shown(of, key)), what);
        }
    }

    fn broken(&mut self, table: &str, key: Option<String>, error: &rusqlite::Error) {
        self.problem(table, key, format!("{error}; what comes after it was not looked at"));
    }

    fn problem(&mut self, table: &str, key: Option<String>, what: impl Into<String>) {
        if self.verdict.problems.len() == PROBLEMS {
            self.verdict.more_problems += 1;
        } else {
            self.verdict.problems.push(Problem { table: table.to_owned(), key, what: what.into() });
        }
    }

    /// Counts something whose checksum fits and whose tag is no table's.
    fn unknown(&mut self, table: &str, tagged: &[u8]) {
        if key::tag(tagged).is_none() {
            self.problem(table, Some(key::show(tagged)), "a key shorter than its tag");
        } else {
            *self.verdict.unknown.entry(table.to_owned()).or_default() += 1;
        }
    }

    fn newest(&mut self, version: Version) {
        self.verdict.newest = self.verdict.newest.max(tick_of_version(version));
    }

    fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(REPORT) {
            (self.progress)(self.done.min(self.total), self.total);
        }
    }
}
/// Tells what SQLite finds wrong with its pages.
pub(super) fn structure(conn: &Connection, told: &mut dyn FnMut(String)) {
    let looked = conn.prepare(&format!("PRAGMA integrity_check({STRUCTURE})")).and_then(|mut statement| {
        let mut lines = statement.query([])?;
        // It tells which pages are damaged, and may fail where it goes on to rows in them.
        while let Some(row) = lines.next()? {
            let line: String = row.get(0)?;
            line.lines().filter(|line| *line != "ok").for_each(|line| told(line.to_owned()));
        }
        Ok(())
    });
    if let Err(error) = looked {
        told(error.to_string());
    }
}
