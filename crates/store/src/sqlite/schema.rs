//! The tables, and what must agree before a database is used.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, types::Value as Sql};
use types::Domain;

use super::{counter::Count, lost::Lost, views};
use crate::{Catalogue, Options, Place, Version, id::tick_of_version};

/// The newest format known. A release that changes the tables raises it and brings older ones up.
pub(super) const FORMAT: u32 = 2;

/// `FERR`, for tools that tell files apart.
const APPLICATION_ID: i32 = 0x4645_5252;

/// Where lost times are written, if there are any.
const LOST: &str = "lost";

// `agg`, `part`, `name`: the tag of the kind (two bytes) and the encoded id. `key`: the tag of the table and the encoded
// key; the row with key 00 carries the version of its aggregate and its last commits.
const TABLES: &str = "
CREATE TABLE rows(no INTEGER PRIMARY KEY, agg BLOB NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL,
                  json TEXT, bin BLOB, expires INTEGER, crc INTEGER NOT NULL, UNIQUE(agg, key)) STRICT;
CREATE INDEX rows_expires ON rows(expires) WHERE expires IS NOT NULL;
CREATE TABLE plain(no INTEGER PRIMARY KEY, agg BLOB NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL,
                   json TEXT, bin BLOB, expires INTEGER, crc INTEGER NOT NULL, UNIQUE(agg, key)) STRICT;
CREATE INDEX plain_expires ON plain(expires) WHERE expires IS NOT NULL;
-- due: when the oldest entry can be removed, its expiry and the memory of the kind of log.
CREATE TABLE log_name(no INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, memory INTEGER NOT NULL, due INTEGER) STRICT;
CREATE INDEX log_name_due ON log_name(due) WHERE due IS NOT NULL;
-- pos: number of the log << 32 | sequence.
CREATE TABLE log(pos INTEGER PRIMARY KEY, tick INTEGER NOT NULL, key BLOB NOT NULL, meta BLOB NOT NULL, body BLOB,
                 body_ref INTEGER, expires INTEGER, crc INTEGER NOT NULL) STRICT;
CREATE INDEX log_body ON log(body_ref) WHERE body_ref IS NOT NULL;
CREATE TABLE body(no INTEGER PRIMARY KEY, bytes BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE meta(k TEXT PRIMARY KEY, v ANY NOT NULL) STRICT;
";

// Entries whose positions come after those that their logs have in `log`, in the order in which they came.
const FRESH: &str = "
CREATE TABLE fresh(no INTEGER PRIMARY KEY, pos INTEGER NOT NULL, tick INTEGER NOT NULL, key BLOB NOT NULL,
                   meta BLOB NOT NULL, body BLOB, body_ref INTEGER, expires INTEGER, crc INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX fresh_pos ON fresh(pos);
CREATE INDEX fresh_body ON fresh(body_ref) WHERE body_ref IS NOT NULL;
";

/// Where commits are counted in `meta`.
const COMMITS: &str = "commits";

/// What a database says of itself.
pub(super) struct Meta {
    /// Its format.
    pub(super) format: u32,
    /// The backend domain.
    pub(super) domain: String,
    /// The node in the ids of entries.
    pub(super) node: u64,
    /// Above all versions and ticks ever handed out.
    pub(super) ceiling: Version,
    /// Times of which a restored backup knows nothing.
    pub(super) lost: Lost,
    /// Commits done so far.
    pub(super) commits: u64,
}

/// Why a database is not used.
pub(super) enum Refusal {
    NewerFormat(u32),
    NotAStore(&'static str),
    LostCommits { found: u64, counted: u64 },
    OtherDomain(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Makes the tables if the database is new; otherwise checks format and domain. After a restore the time that is lost ends
/// here. Then the views.
///
/// `counted`: what the counter beside the database says. If it counted more than the database did, nothing is changed.
pub(super) fn prepare(conn: &mut Connection, options: &Options, counted: Option<Count>) -> Result<Meta, Refusal> {
    let in_folder = options.place != Place::Memory;
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        // A random node has the multicast bit set, so that it is nobody's hardware address (RFC 9562 §6.10).
        create(&transaction, &options.domain, options.rng.u64() | (1 << 40))?;
    }
    let mut meta = read(&transaction)?;
    if meta.domain != options.domain.as_str() {
        return Err(Refusal::OtherDomain(meta.domain));
    }
    if meta.format < FORMAT {
        upgrade(&transaction)?;
        meta.format = FORMAT;
    }
    let found = meta.commits;
    match counted.filter(|count| count.node == meta.node) {
        Some(count) if count.commits > found => return Err(Refusal::LostCommits { found, counted: count.commits }),
        Some(_) => {}
        // Nobody can say whether all is there: the database was put there without its counter.
        None if in_folder && found > 0 && !meta.lost.has_begun() => meta.lost.begin(newest_tick(&transaction)?),
        None => {}
    }
    transaction.execute("INSERT OR IGNORE INTO meta(k, v) VALUES (?1, 0)", [COMMITS])?;
    if let Some(ceiling) = meta.lost.end(options.clock.now(), meta.ceiling) {
        meta.ceiling = ceiling;
        set_ceiling(&transaction, ceiling)?;
        set_lost(&transaction, &meta.lost)?;
    }
    if let Some(tables) = &options.tables {
        views::refresh(&transaction, tables)?;
    }
    transaction.commit()?;
    Ok(meta)
}

/// Makes the tables.
pub(super) fn create(conn: &Connection, domain: &Domain, node: u64) -> Result<(), rusqlite::Error> {
    conn.execute_batch(TABLES)?;
    conn.execute_batch(FRESH)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    set(conn, "format", FORMAT)?;
    set(conn, "domain", domain.as_str())?;
    set(conn, "node", node.cast_signed())?;
    set(conn, "clock_ceiling", 0)
}

/// Brings a database of an older format up.
fn upgrade(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.execute_batch(FRESH)?;
    // They do not show what is fresh. Whoever knows the tables makes them anew.
    views::refresh(conn, &Catalogue::new())?;
    set(conn, "format", FORMAT)
}

/// Lets what reads look at a database of an older format as at one of the newest, of which only this connection knows.
pub(super) fn read_as_newest(conn: &Connection, meta: &Meta) -> Result<(), rusqlite::Error> {
    if meta.format == FORMAT {
        return Ok(());
    }
    conn.execute_batch(
        "PRAGMA temp_store = MEMORY;
         CREATE TEMP TABLE fresh(no INTEGER PRIMARY KEY, pos INTEGER, tick INTEGER, key BLOB, meta BLOB, body BLOB,
                                 body_ref INTEGER, expires INTEGER, crc INTEGER)",
    )
}

/// What a database with tables says of itself, whosever it is.
pub(super) fn read(conn: &Connection) -> Result<Meta, Refusal> {
    if !conn.table_exists(None, "meta")? {
        return Err(Refusal::NotAStore("it has no table `meta`"));
    }
    let Some(Sql::Integer(format)) = value(conn, "format")? else {
        return Err(Refusal::NotAStore("its format is not written in it"));
    };
    let format = u32::try_from(format).map_err(|_| Refusal::NotAStore("its format is no number of a format"))?;
    if format > FORMAT {
        return Err(Refusal::NewerFormat(format));
    }
    let (Some(Sql::Text(domain)), Some(Sql::Integer(node)), Some(Sql::Integer(ceiling))) =
        (value(conn, "domain")?, value(conn, "node")?, value(conn, "clock_ceiling")?)
    else {
        return Err(Refusal::NotAStore("its table `meta` is incomplete"));
    };
    let lost = match value(conn, LOST)? {
        Some(Sql::Text(text)) => {
            serde_json::from_str(&text).map_err(|_| Refusal::NotAStore("its lost times are no times"))?
        }
        _ => Lost::default(),
    };
    let (node, ceiling) = (node.cast_unsigned(), Version::from_micros(ceiling.cast_unsigned()));
    Ok(Meta { format, domain, node, ceiling, lost, commits: counted_commits(conn)? })
}

/// The domain that is written there; `None` where there are no tables yet.
pub(super) fn domain(conn: &Connection) -> Result<Option<String>, rusqlite::Error> {
    if !conn.table_exists(None, "meta")? {
        return Ok(None);
    }
    match value(conn, "domain")? {
        Some(Sql::Text(domain)) => Ok(Some(domain)),
        _ => Ok(None),
    }
}

/// Writes the ceiling of the hybrid clock.
pub(super) fn set_ceiling(conn: &Connection, ceiling: Version) -> Result<(), rusqlite::Error> {
    set(conn, "clock_ceiling", ceiling.micros().cast_signed())
}

/// Commits that the database counted.
pub(super) fn counted_commits(conn: &Connection) -> Result<u64, rusqlite::Error> {
    match value(conn, COMMITS)? {
        Some(Sql::Integer(count)) => Ok(count.cast_unsigned()),
        _ => Ok(0),
    }
}

/// Counts so many more; gives all of them.
pub(super) fn count_commits(conn: &Connection, more: u64) -> Result<u64, rusqlite::Error> {
    let mut read = conn.prepare_cached("SELECT v FROM meta WHERE k = ?1")?;
    let counted = read.query_row([COMMITS], |row| row.get::<_, i64>(0))?.wrapping_add_unsigned(more);
    // Beside them: `RETURNING` would cost SQLite a journal for the statement.
    conn.prepare_cached("UPDATE meta SET v = ?2 WHERE k = ?1")?.execute((COMMITS, counted))?;
    Ok(counted.cast_unsigned())
}

/// The newest tick of a version or an entry. Looks at all of them.
fn newest_tick(conn: &Connection) -> Result<u64, rusqlite::Error> {
    let newest = |sql| conn.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    let tick =
        newest("SELECT max(tick) FROM (SELECT max(tick) AS tick FROM log UNION ALL SELECT max(tick) FROM fresh)")?
            .unwrap_or_default()
            .cast_unsigned();
    let version =
        newest("SELECT max(v) FROM (SELECT max(version) AS v FROM rows UNION ALL SELECT max(version) FROM plain)")?;
    let version = version.map_or(0, |version| tick_of_version(Version::from_micros(version.cast_unsigned())));
    Ok(tick.max(version))
}

/// Writes of which times nothing is known.
pub(super) fn set_lost(conn: &Connection, lost: &Lost) -> Result<(), rusqlite::Error> {
    let text = serde_json::to_string(lost).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    set(conn, LOST, text)
}

fn set(conn: &Connection, k: &str, v: impl rusqlite::ToSql) -> Result<(), rusqlite::Error> {
    conn.execute("INSERT INTO meta(k, v) VALUES (?1, ?2) ON CONFLICT(k) DO UPDATE SET v = excluded.v", (k, v))?;
    Ok(())
}

fn value(conn: &Connection, k: &str) -> Result<Option<Sql>, rusqlite::Error> {
    conn.query_row("SELECT v FROM meta WHERE k = ?1", [k], |row| row.get(0)).optional()
}
