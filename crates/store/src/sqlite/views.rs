//! A view for each declared table, so that a database shell shows them by name, with keys as people read them.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::extent::TABLES;
use crate::{
    Catalogue, GuardedInfo, LogInfo, Part, PlainInfo,
    catalogue::{AggregateInfo, view_name},
};

/// Makes the views of these tables, and removes those of tables that are gone.
pub(super) fn refresh(conn: &Connection, tables: &Catalogue) -> Result<(), rusqlite::Error> {
    let mut wanted = wanted(tables);
    let mut stored = conn.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'view'")?;
    let stored: Vec<(String, String)> =
        stored.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (name, sql) in stored {
        if wanted.get(&name) == Some(&sql) {
            wanted.remove(&name);
        } else {
            conn.execute_batch(&format!("DROP VIEW \"{}\"", name.replace('"', "\"\"")))?;
        }
    }
    wanted.values().try_for_each(|sql| conn.execute_batch(sql))
}

fn wanted(tables: &Catalogue) -> BTreeMap<String, String> {
    let guarded = tables.guarded_tables().filter_map(|table| Some(guarded(table, tables.aggregate(table.of)?)));
    guarded.chain(tables.plain_tables().map(plain)).chain(tables.logs().map(log)).collect()
}

fn guarded(table: &GuardedInfo, of: &AggregateInfo) -> (String, String) {
    let mut columns = Columns::default();
    columns.key(&of.id.parts(), "agg", &view_name(of.name));
    columns.key(&table.key.parts(), "key", "key");
    let place = format!("{} AND {}", within("agg", of.tag), within("key", table.tag));
    view(table.name, &columns, VALUE, &format!("rows WHERE {place}"))
}

fn plain(table: &PlainInfo) -> (String, String) {
    let mut columns = Columns::default();
    columns.key(&table.part.parts(), "agg", "part");
    columns.key(&table.key.parts(), "key", "key");
    view(table.name, &columns, VALUE, &format!("plain WHERE {}", within("agg", table.tag)))
}

fn log(kind: &LogInfo) -> (String, String) {
    let mut columns = Columns::default();
    columns.key(&kind.id.parts(), "name", "log");
    let from = |table: &str| {
        let within = within("name", kind.tag);
        format!(
            "log_name JOIN {table} AS e ON e.pos >= log_name.no << 32 AND e.pos < (log_name.no + 1) << 32 WHERE {within}"
        )
    };
    let [older, newer] = TABLES.map(from);
    let newer = format!("{older} UNION ALL SELECT {}{ENTRY} FROM {newer}", columns.0);
    view(kind.name, &columns, ENTRY, &newer)
}

/// Columns of every row.
const VALUE: &str = "json, bin, version, datetime(version / 1000000, 'unixepoch') AS written, \
     datetime(expires / 1000000, 'unixepoch') AS expires";
/// Columns of every entry. Ticks are 100 ns since 15 October 1582.
const ENTRY: &str = "tick, datetime(tick / 10000000 - 12219292800, 'unixepoch') AS appended, hex(e.key) AS key, meta, body, body_ref, \
     datetime(expires / 1000000, 'unixepoch') AS expires";

fn view(name: &str, columns: &Columns, rest: &str, from: &str) -> (String, String) {
    let name = view_name(name);
    let sql = format!("CREATE VIEW \"{name}\" AS SELECT {}{rest} FROM {from}", columns.0);
    (name, sql)
}

/// That a name or key has this tag, so that an index helps.
fn within(column: &str, tag: u16) -> String {
    let above = match tag.checked_add(1) {
        Some(next) => format!(" AND {column} < X'{next:04X}'"),
        None => String::new(),
    };
    format!("{column} >= X'{tag:04X}'{above}")
}

/// Columns made of keys, each followed by a comma.
#[derive(Default)]
struct Columns(String);

impl Columns {
    /// The parts of a key behind its tag: under the name itself if there is one, numbered if there are more.
    fn key(&mut self, parts: &[Part], column: &str, name: &str) {
        let mut rest = format!("substr({column}, 3)");
        for (n, part) in parts.iter().enumerate() {
            let name = if parts.len() == 1 { name.to_owned() } else { format!("{name}_{}", n + 1) };
            let (value, behind) = taken(*part, &rest);
            self.0.push_str(&format!("{value} AS \"{name}\", "));
            rest = behind;
        }
    }
}

/// A part from the front of the bytes that an expression gives, and what is behind it.
fn taken(part: Part, bytes: &str) -> (String, String) {
    let behind = |width: usize| format!("substr({bytes}, {})", width + 1);
    let front = |width: usize| format!("hex(substr({bytes}, 1, {width}))");
    let ended = format!("substr({bytes}, 1, instr({bytes}, X'0000') - 1)");
    let behind_end = format!("substr({bytes}, instr({bytes}, X'0000') + 2)");
    match part {
        Part::Bytes => (format!("hex({ended})"), behind_end),
        Part::Fixed(width) => (front(width), behind(width)),
        Part::Number(width) => (number(&front(width), width, 0), behind(width)),
        Part::Rest => (format!("hex({bytes})"), "X''".to_owned()),
        Part::Signed => (number(&front(8), 8, 8), behind(8)),
        Part::Text => (format!("CAST({ended} AS TEXT)"), behind_end),
        Part::Time => (format!("datetime({} / 1000000, 'unixepoch')", number(&front(8), 8, 8)), behind(8)),
        Part::Uuid => {
            let piece = |from: usize, width: usize| format!("hex(substr({bytes}, {from}, {width}))");
            let [a, b, c, d, e] = [piece(1, 4), piece(5, 2), piece(7, 2), piece(9, 2), piece(11, 6)];
            (format!("lower({a} || '-' || {b} || '-' || {c} || '-' || {d} || '-' || {e})"), behind(16))
        }
    }
}

/// The number that hexadecimal digits stand for, which SQLite cannot read by itself; the first one less so much.
fn number(digits: &str, width: usize, less: u8) -> String {
    let digit = |n: usize| {
        let less = if n == 0 { less + 1 } else { 1 };
        let shift = 4 * (2 * width - 1 - n);
        format!("((instr('0123456789ABCDEF', substr({digits}, {}, 1)) - {less}) << {shift})", n + 1)
    };
    format!("({})", (0..2 * width).map(digit).collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::{Domain, Timestamp, UserId};
    use uuid::Uuid;

    use super::*;
    use crate::{Key, key};

    /// What SQLite makes of a key.
    fn shown<K: Key>(key: &K) -> Vec<String> {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t(key BLOB NOT NULL) STRICT").unwrap();
        conn.execute("INSERT INTO t VALUES (?1)", [key::tagged(7, key)]).unwrap();
        let mut parts = Vec::new();
        K::shape(&mut parts);
        let mut columns = Columns::default();
        columns.key(&parts, "key", "key");
        let texts = (1..=parts.len()).map(|n| if parts.len() == 1 { "key".into() } else { format!("key_{n}") });
        let texts: Vec<String> = texts.map(|name| format!("CAST(\"{name}\" AS TEXT)")).collect();
        conn.query_row(&format!("SELECT {} FROM (SELECT {}1 FROM t)", texts.join(","), columns.0), [], |row| {
            (0..parts.len()).map(|n| row.get(n)).collect()
        })
        .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn numbers_are_read(a: u8, b: u32, c: i64, d in 0..i64::MAX as u64) {
            prop_assert_eq!(shown(&(a, (b, c, d))), [a.to_string(), b.to_string(), c.to_string(), d.to_string()]);
        }

        #[test]
        fn texts_and_ids_are_read(text in "[a-zäß ]{0,9}", id: u128, bytes in proptest::collection::vec(1..=u8::MAX, 0..9)) {
            let id = Uuid::from_u128(id);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            prop_assert_eq!(shown(&(text.clone(), (UserId(id), bytes), 7_u8)), [text, id.to_string(), hex, "7".into()]);
        }
    }

    #[test]
    fn times_and_names_are_read() {
        let domain: Domain = "a.example".parse().unwrap();
        assert_eq!(shown(&Timestamp::from_seconds(1_800_000_000)), ["2027-01-15 08:00:00"]);
        assert_eq!(shown(&Timestamp::from_seconds(-1)), ["1969-12-31 23:59:59"]);
        assert_eq!(shown(&domain), ["a.example"]);
        assert_eq!(shown(&7_u128), ["00000000000000000000000000000007"]);
    }
}
