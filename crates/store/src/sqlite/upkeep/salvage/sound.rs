//! What is sound: looking at everything, and noting it.

use std::io::Write;

use rusqlite::Row;

use super::{
    Salvage, Space,
    notes::{Named, Place},
    walk::{Found, Walk, is_damage},
};
use crate::{
    Catalogue, Corrupt, EntryId, checksum,
    dump::Entry,
    engine::Head,
    key,
    sqlite::{
        columns::{self, Stored},
        upkeep::{UpkeepError, check, dump::entry, shown, sqlite, unnamed},
    },
};

/// All numbers of rows.
const ALL: (i64, i64) = (i64::MIN, i64::MAX);
/// The numbers that a log can have, of which positions are made.
const NUMBERS: std::ops::Range<i64> = 0..1 << 31;

/// What is known of the entries of one log so far.
#[derive(Default)]
struct Sequence {
    log: i64,
    /// How many are sound.
    sound: i64,
    newest: Option<EntryId>,
    /// The position behind the last one.
    next: Option<i64>,
}

pub(super) fn guarded_name(tables: &Catalogue, key: &[u8]) -> String {
    let table = key::tag(key).and_then(|tag| tables.guarded(tag));
    table.map_or_else(|| unnamed("guarded table", key), |table| table.name.to_owned())
}

impl<W: Write> Salvage<'_, W> {
    /// By the index first, from both ends, which gives what cannot be read a name. Then by number.
    pub(super) fn look_at_rows(&mut self, space: Space) -> Result<(), UpkeepError> {
        let whole = self.look_at_index(space)?;
        let table = space.table();
        let sql = format!(
            "SELECT no, agg, key, version, json, bin, expires, crc FROM {table} NOT INDEXED
             WHERE no BETWEEN ?1 AND ?2 ORDER BY no"
        );
        self.walk(&sql, 0, ALL, &mut |this, found| match found {
            Found::Row(row) => this.row(space, row),
            // What was there is in the index.
            Found::Gap(..) if whole => Ok(()),
            Found::Gap(from, upto) => {
                this.leave_out(table, None, gap("row", from, upto));
                Ok(())
            }
        })?;
        let mut behind = i64::MIN;
        while let Some(place) = self.noted(|notes| notes.next_missing(space as i64, behind))? {
            behind = place.no;
            let sql = format!("SELECT no, agg, key, version, json, bin, expires, crc FROM {table} WHERE no = ?1");
            if !self.row_at(space, &sql, place.no)? {
                let name = self.name(space, &place.of, &place.key);
                self.leave_out(&name, Some(shown(&place.of, &place.key)), "it cannot be read");
            }
        }
        Ok(())
    }

    /// Notes what an index tells of. Says whether that is all.
    fn look_at_index(&mut self, space: Space) -> Result<bool, UpkeepError> {
        let table = space.table();
        let sql = |order: &str| {
            format!(
                "SELECT agg, key, no FROM {table} INDEXED BY sqlite_autoindex_{table}_1 ORDER BY agg {order}, key {order}"
            )
        };
        let whole = self.along_index(space, &sql("ASC"))?;
        if !whole {
            self.along_index(space, &sql("DESC"))?;
        }
        Ok(whole)
    }

    /// Says whether it came to the end.
    fn along_index(&mut self, space: Space, sql: &str) -> Result<bool, UpkeepError> {
        let conn = self.conn();
        let mut last = None::<Place>;
        let mut direction = None;
        let looked = conn.prepare(sql).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let place = columns::blob(row, 0).and_then(|of| {
                    let (of, key) = (of.to_vec(), columns::blob(row, 1)?.to_vec());
                    Ok(Place { of, key, no: columns::number(row, 2)? })
                });
                let Ok(place) = place else { continue };
                if let Some(last) = &last {
                    let order = (&place.of, &place.key).cmp(&(&last.of, &last.key));
                    // Pages that lead to each other.
                    if order.is_eq() || direction.is_some_and(|direction| direction != order) {
                        return Ok(false);
                    }
                    direction = Some(order);
                }
                self.notes.indexed(space as i64, &place.of, &place.key, place.no)?;
                last = Some(place);
            }
            Ok(true)
        });
        match looked {
            Err(error) if is_damage(&error) => Ok(false),
            other => other.map_err(|error| self.failed(&error)),
        }
    }

    fn row_at(&mut self, space: Space, sql: &str, no: i64) -> Result<bool, UpkeepError> {
        let conn = self.conn();
        let file = self.standing.file.clone();
        let failed = |error: rusqlite::Error| sqlite(&file, &error);
        let mut statement = match conn.prepare_cached(sql) {
            Err(error) if is_damage(&error) => return Ok(false),
            other => other.map_err(failed)?,
        };
        let mut rows = statement.query([no]).map_err(failed)?;
        match rows.next() {
            Ok(Some(row)) => self.row(space, row).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) if is_damage(&error) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Looks at a row that could be read.
    fn row(&mut self, space: Space, row: &Row<'_>) -> Result<(), UpkeepError> {
        self.step();
        let number = |at| columns::number(row, at).unwrap_or_default();
        let no = number(0);
        self.noted(|notes| notes.tried(space as i64, no))?;
        let (of, key) = match (columns::blob(row, 1), columns::blob(row, 2)) {
            (Ok(of), Ok(key)) => (of, key),
            (Err(Corrupt(what)), _) | (_, Err(Corrupt(what))) => {
                self.leave_out(space.table(), Some(format!("row {no}")), what);
                return Ok(());
            }
        };
        let looked = Stored::take(row, 3, of, key).and_then(|stored| {
            match space {
                Space::Guarded => check::guarded(self.tables, of, key, &stored)?,
                Space::Plain => check::plain(self.tables, of, key, &stored)?,
            }
            Ok(stored.version)
        });
        let noted = match looked {
            Ok(version) if self.noted(|notes| notes.found(space as i64, (of, key), no, version))? => Ok(()),
            Ok(_) => Err(Corrupt("another row of the same key")),
            Err(corrupt) => Err(corrupt),
        };
        if let Err(Corrupt(what)) = noted {
            let name = self.name(space, of, key);
            self.leave_out(&name, Some(shown(of, key)), what);
        }
        Ok(())
    }

    fn name(&self, space: Space, of: &[u8], key: &[u8]) -> String {
        match space {
            Space::Guarded if key == Head::KEY => {
                let kind = key::tag(of).and_then(|tag| self.tables.aggregate(tag));
                kind.map_or_else(|| unnamed("aggregate", of), |kind| kind.name.to_owned())
            }
            Space::Guarded => guarded_name(self.tables, key),
            Space::Plain => {
                let table = key::tag(of).and_then(|tag| self.tables.plain(tag));
                table.map_or_else(|| unnamed("plain table", of), |table| table.name.to_owned())
            }
        }
    }

    pub(super) fn look_at_bodies(&mut self) -> Result<(), UpkeepError> {
        let sql = "SELECT no, bytes, crc FROM body WHERE no BETWEEN ?1 AND ?2 ORDER BY no";
        self.walk(sql, 0, ALL, &mut |this, found| {
            match found {
                Found::Row(row) => {
                    this.step();
                    let no = columns::number(row, 0).unwrap_or_default();
                    let fits = columns::blob(row, 1)
                        .and_then(|bytes| Ok(columns::number(row, 2)? == i64::from(checksum::body(bytes))));
                    if fits == Ok(true) {
                        this.noted(|notes| notes.body(no))?;
                    } else {
                        this.leave_out("body", Some(no.to_string()), "a checksum that does not fit");
                    }
                }
                Found::Gap(from, upto) => this.leave_out("body", None, gap("body", from, upto)),
            }
            Ok(())
        })
    }

    /// The logs, and their entries by the bodies that there are.
    pub(super) fn look_at_logs(&mut self) -> Result<(), UpkeepError> {
        let conn = self.conn();
        // A name that only the index has is as good.
        let looked = conn
            .prepare("SELECT name, no FROM log_name INDEXED BY sqlite_autoindex_log_name_1 ORDER BY name")
            .and_then(|mut statement| {
                let mut rows = statement.query([])?;
                let mut last = Vec::new();
                while let Some(row) = rows.next()? {
                    let (Ok(name), Ok(no)) = (columns::blob(row, 0), columns::number(row, 1)) else { continue };
                    if *name <= *last {
                        return Ok(false);
                    }
                    last = name.to_vec();
                    if self.is_name(name) && NUMBERS.contains(&no) {
                        self.notes.log(no, name, None)?;
                    }
                }
                Ok(true)
            });
        let whole = match looked {
            Err(error) if is_damage(&error) => false,
            other => other.map_err(|error| self.failed(&error))?,
        };
        let sql = "SELECT no, name, memory FROM log_name WHERE no BETWEEN ?1 AND ?2 ORDER BY no";
        self.walk(sql, 0, ALL, &mut |this, found| {
            match found {
                Found::Row(row) => {
                    let no = columns::number(row, 0).unwrap_or_default();
                    let name = columns::blob(row, 1).ok().filter(|name| this.is_name(name) && NUMBERS.contains(&no));
                    let memory = columns::number(row, 2).ok();
                    let noted = name.map(|name| this.noted(|notes| notes.log(no, name, memory))).transpose()?;
                    if noted != Some(true) {
                        this.leave_out(
                            "log_name",
                            Some(no.to_string()),
                            "another name than an index has, or none that can be",
                        );
                    }
                }
                Found::Gap(..) if whole => {}
                Found::Gap(from, upto) => this.leave_out("log_name", None, gap("log", from, upto)),
            }
            Ok(())
        })?;
        let (mut behind, mut next) = (i64::MIN, i64::MIN);
        while let Some(Named { no, name, .. }) = self.noted(|notes| notes.next_number(behind))? {
            let (first, last) = (no << 32, (no << 32) | 0xffff_ffff);
            self.nobodys(next, first.saturating_sub(1))?;
            self.entries(no, &name, first, last)?;
            (behind, next) = (no, last.saturating_add(1));
        }
        self.nobodys(next, i64::MAX)?;
        let mut behind = i64::MIN;
        while let Some((no, count)) = self.noted(|notes| notes.next_nameless(behind))? {
            behind = no;
            self.nameless(no, count.unsigned_abs());
        }
        Ok(())
    }

    fn nameless(&mut self, no: i64, count: u64) {
        let entries = if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
        self.leave_out("log", Some(format!("log {no}")), format!("{entries} of a log without a name"));
    }

    fn is_name(&self, name: &[u8]) -> bool {
        match key::tag(name).map(|tag| self.tables.log(tag)) {
            Some(Some(kind)) => kind.id.check(name).is_ok(),
            Some(None) => true,
            None => false,
        }
    }

    fn entries(&mut self, log: i64, name: &[u8], first: i64, last: i64) -> Result<(), UpkeepError> {
        let kind = key::tag(name).and_then(|tag| self.tables.log(tag));
        let kind = kind.map_or_else(|| unnamed("log", name), |kind| kind.name.to_owned());
        let sql = "SELECT tick, key, meta, body, body_ref, expires, crc, pos FROM log
                   WHERE pos BETWEEN ?1 AND ?2 ORDER BY pos";
        let mut sequence = Sequence { log, ..Sequence::default() };
        self.walk(sql, 7, (first, last), &mut |this, found| {
            match found {
                Found::Row(row) => {
                    this.step();
                    let pos = columns::number(row, 7).unwrap_or_default();
                    this.hole(&kind, name, &mut sequence, pos);
                    let entry = entry(row, name, this.standing.meta.node);
                    let tick = columns::number(row, 0).unwrap_or_default().cast_unsigned();
                    let id = EntryId::new(tick, this.standing.meta.node);
                    if let Err(Corrupt(what)) = this.entry((pos, None), entry, &mut sequence)? {
                        this.leave_out(&kind, Some(format!("{} {id}", key::show(name))), what);
                    }
                }
                Found::Gap(from, upto) => {
                    sequence.next = None;
                    let from = if from == first { ALL.0 } else { from & 0xffff_ffff };
                    let upto = if upto == last { ALL.1 } else { upto & 0xffff_ffff };
                    this.leave_out(&kind, Some(key::show(name)), gap("entry", from, upto));
                }
            }
            Ok(())
        })?;
        let mut behind = first - 1;
        while let Some((pos, no)) = self.noted(|notes| notes.next_fresh(behind, last))? {
            behind = pos;
            self.step();
            self.hole(&kind, name, &mut sequence, pos);
            let entry =
                self.entry_at(pos, Some(no), name)?.ok_or(Corrupt("an entry that is damaged, or cannot be read"));
            if let Err(Corrupt(what)) = self.entry((pos, Some(no)), entry, &mut sequence)? {
                self.leave_out(&kind, Some(format!("{} entry {}", key::show(name), pos & 0xffff_ffff)), what);
            }
        }
        Ok(())
    }

    /// Entries go from the front of a log only, so between two of them there is no position without one. A page that says
    /// of itself that it holds less than it does is read without complaint.
    fn hole(&mut self, kind: &str, name: &[u8], sequence: &mut Sequence, pos: i64) {
        if let Some(next) = sequence.next.filter(|next| *next < pos) {
            let what = gap("entry", next & 0xffff_ffff, (pos - 1) & 0xffff_ffff);
            self.leave_out(kind, Some(key::show(name)), what);
        }
        sequence.next = Some(pos.saturating_add(1));
    }

    /// Notes an entry by its position and its number in `fresh`, if it is sound and newer than those before.
    fn entry(
        &self,
        (pos, fresh): (i64, Option<i64>),
        entry: Result<Entry, Corrupt>,
        sequence: &mut Sequence,
    ) -> Result<Result<(), Corrupt>, UpkeepError> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(corrupt) => return Ok(Err(corrupt)),
        };
        if sequence.newest.is_some_and(|newest| newest >= entry.id) {
            return Ok(Err(Corrupt("an id that is not above that of the entry before it")));
        }
        if let Some(body) = entry.shared
            && !self.noted(|notes| notes.uses(body.cast_signed()))?
        {
            return Ok(Err(Corrupt("a body that is not there, or damaged")));
        }
        self.noted(|notes| notes.entry(sequence.log, sequence.sound, pos, fresh))?;
        sequence.newest = Some(entry.id);
        sequence.sound += 1;
        Ok(Ok(()))
    }

    /// Where the entries stand that were not moved to their logs yet: by the index of positions, and by number.
    pub(super) fn look_at_fresh(&mut self) -> Result<(), UpkeepError> {
        let conn = self.conn();
        // Older stores have no such table.
        if !conn.table_exists(None, "fresh").map_err(|error| self.failed(&error))? {
            return Ok(());
        }
        let looked = conn.prepare("SELECT pos, no FROM fresh ORDER BY pos").and_then(|mut statement| {
            let mut rows = statement.query([])?;
            let mut last = None;
            while let Some(row) = rows.next()? {
                let (Ok(pos), Ok(no)) = (columns::number(row, 0), columns::number(row, 1)) else { continue };
                if last.is_some_and(|last| last >= pos) {
                    return Ok(false);
                }
                last = Some(pos);
                self.notes.fresh(pos, no)?;
            }
            Ok(true)
        });
        let whole = match looked {
            Err(error) if is_damage(&error) => false,
            other => other.map_err(|error| self.failed(&error))?,
        };
        let sql = "SELECT no, pos FROM fresh NOT INDEXED WHERE no BETWEEN ?1 AND ?2 ORDER BY no";
        self.walk(sql, 0, ALL, &mut |this, found| {
            match found {
                Found::Row(row) => {
                    if let (Ok(no), Ok(pos)) = (columns::number(row, 0), columns::number(row, 1)) {
                        this.noted(|notes| notes.fresh(pos, no))?;
                    }
                }
                Found::Gap(..) if whole => {}
                Found::Gap(from, upto) => this.leave_out("fresh", None, gap("entry", from, upto)),
            }
            Ok(())
        })
    }

    /// Entries between two logs, of one whose name is lost.
    fn nobodys(&mut self, from: i64, upto: i64) -> Result<(), UpkeepError> {
        if from > upto {
            return Ok(());
        }
        let mut counted = None::<(i64, u64)>;
        let sql = "SELECT pos FROM log WHERE pos BETWEEN ?1 AND ?2 ORDER BY pos";
        self.walk(sql, 0, (from, upto), &mut |this, found| {
            match found {
                Found::Row(row) => {
                    let no = columns::number(row, 0).unwrap_or_default() >> 32;
                    counted = match counted {
                        Some((last, count)) if last == no => Some((no, count + 1)),
                        other => {
                            other.into_iter().for_each(|(no, count)| this.nameless(no, count));
                            Some((no, 1))
                        }
                    };
                }
                Found::Gap(from, upto) => this.leave_out("log", None, gap("entry", from, upto)),
            }
            Ok(())
        })?;
        counted.into_iter().for_each(|(no, count)| self.nameless(no, count));
        Ok(())
    }

    fn walk(
        &mut self,
        sql: &str,
        at: usize,
        (from, upto): (i64, i64),
        meet: &mut dyn FnMut(&mut Self, Found<'_>) -> Result<(), UpkeepError>,
    ) -> Result<(), UpkeepError> {
        let (conn, file) = (self.conn(), self.standing.file.clone());
        let walk = Walk { conn, sql, at, failed: &|error| sqlite(&file, &error) };
        walk.through(from, upto, &mut |found| meet(self, found))
    }
}

/// Says what cannot be read.
fn gap(what: &str, from: i64, upto: i64) -> String {
    match (from, upto) {
        ALL => "nothing of it can be read".to_owned(),
        (i64::MIN, upto) => format!("it cannot be read up to {what} {upto}"),
        (from, i64::MAX) => format!("it cannot be read from {what} {from} on"),
        (from, upto) if from == upto => format!("{what} {from} cannot be read"),
        (from, upto) => format!("it cannot be read from {what} {from} to {upto}"),
    }
}
