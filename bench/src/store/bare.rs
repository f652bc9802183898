//! The same work on SQLite without the store: a table of rows by aggregate and key, each with a version.

use std::{
    path::Path,
    sync::{Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    ROW,
    writers::{Load, Measured, Watch, micros},
};

/// Commits of one group, as the store's.
const GROUP: usize = 512;

fn open(folder: &Path) -> Result<Connection> {
    let conn = Connection::open(folder.join("bare.sqlite"))?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS rows(no INTEGER PRIMARY KEY, agg BLOB NOT NULL, key BLOB NOT NULL,
             version INTEGER NOT NULL, json TEXT, UNIQUE(agg, key)) STRICT;
         CREATE TABLE IF NOT EXISTS log(pos INTEGER PRIMARY KEY, tick INTEGER NOT NULL, meta BLOB, body BLOB) STRICT;",
    )?;
    Ok(conn)
}

/// Replaces a writer's row, if it has the version that it should have.
fn replace(conn: &Connection, writer: usize, version: i64, value: &str) -> Result<()> {
    let key = writer.to_be_bytes();
    let found: Option<i64> = conn
        .prepare_cached("SELECT version FROM rows WHERE agg = ?1 AND key = ?2")?
        .query_row(params![key, key], |row| row.get(0))
        .optional()?;
    anyhow::ensure!(found.unwrap_or(0) == version, "another wrote the row");
    conn.prepare_cached(
        "INSERT INTO rows(agg, key, version, json) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT(agg, key) DO UPDATE SET version = excluded.version, json = excluded.json",
    )?
    .execute(params![key, key, version + 1, value])?;
    Ok(())
}

fn version(conn: &Connection, writer: usize) -> Result<i64> {
    let key = writer.to_be_bytes();
    let found = conn
        .query_row("SELECT version FROM rows WHERE agg = ?1 AND key = ?2", params![key, key], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

/// Writers on one connection, each in transactions of its own.
pub fn write_each(folder: &Path, load: Load) -> Result<Measured> {
    let conn = Mutex::new(open(folder)?);
    let value = "x".repeat(ROW);
    let watch = Watch::start()?;
    let until = Instant::now() + load.lasts;
    let times = threads(load, |writer| {
        let lock = || conn.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut version, mut times) = (version(&lock(), writer)?, Vec::new());
        while Instant::now() < until {
            let began = Instant::now();
            let conn = lock();
            conn.execute_batch("BEGIN IMMEDIATE")?;
            replace(&conn, writer, version, &value)?;
            conn.execute_batch("COMMIT")?;
            drop(conn);
            version += 1;
            times.push(micros(began));
        }
        Ok(times)
    })?;
    watch.stop(times)
}

/// Writers that hand their rows to one thread, which puts all that wait into one transaction.
pub fn write_grouped(folder: &Path, load: Load) -> Result<Measured> {
    type Wish = (usize, i64, mpsc::SyncSender<()>);
    let conn = open(folder)?;
    let versions = (0..load.writers).map(|writer| version(&conn, writer)).collect::<Result<Vec<_>>>()?;
    let value = "x".repeat(ROW);
    let (wishes, inbox) = mpsc::channel::<Wish>();
    let writing = std::thread::spawn(move || -> Result<()> {
        while let Ok(first) = inbox.recv() {
            let mut group = vec![first];
            group.extend(inbox.try_iter().take(GROUP - 1));
            conn.execute_batch("BEGIN IMMEDIATE")?;
            for (writer, version, _) in &group {
                replace(&conn, *writer, *version, &value)?;
            }
            conn.execute_batch("COMMIT")?;
            for (_, _, answer) in group {
                let _ = answer.send(());
            }
        }
        Ok(())
    });
    let watch = Watch::start()?;
    let until = Instant::now() + load.lasts;
    let times = threads(load, |writer| {
        let (wishes, (answer, answered)) = (wishes.clone(), mpsc::sync_channel(1));
        let (mut version, mut times) = (versions[writer], Vec::new());
        while Instant::now() < until {
            let began = Instant::now();
            wishes.send((writer, version, answer.clone())).context("the writing thread ended")?;
            answered.recv().context("the writing thread ended")?;
            version += 1;
            times.push(micros(began));
        }
        Ok(times)
    })?;
    drop(wishes);
    let measured = watch.stop(times)?;
    writing.join().map_err(|_| anyhow!("the writing thread panicked"))??;
    Ok(measured)
}

/// A thread for each writer; all their times.
fn threads(load: Load, write: impl Fn(usize) -> Result<Vec<u32>> + Sync) -> Result<Vec<u32>> {
    std::thread::scope(|scope| {
        let write = &write;
        let running: Vec<_> = (0..load.writers).map(|writer| scope.spawn(move || write(writer))).collect();
        let mut times = Vec::new();
        for one in running {
            times.extend(one.join().map_err(|_| anyhow!("a writer panicked"))??);
        }
        Ok(times)
    })
}

/// One who reads.
pub struct Reader(Connection);

impl Reader {
    /// 1000 rows, and a log of 10 000 entries.
    pub fn prepare(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let conn = open(folder)?;
        conn.execute_batch("BEGIN")?;
        for row in 0..1000 {
            replace(&conn, row, 0, &"x".repeat(ROW))?;
        }
        for pos in 0..10_000_i64 {
            conn.prepare_cached("INSERT INTO log(pos, tick, meta, body) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                pos,
                pos,
                [1_u8; 20],
                [2_u8; 300]
            ])?;
        }
        conn.execute_batch("COMMIT")?;
        Ok(Self(conn))
    }

    /// Reads for so long.
    pub fn read(&self, newest: bool, lasts: Duration) -> Result<Measured> {
        let watch = Watch::start()?;
        let (until, mut times) = (Instant::now() + lasts, Vec::new());
        while Instant::now() < until {
            let began = Instant::now();
            if newest {
                let mut query =
                    self.0.prepare_cached("SELECT tick, meta, body FROM log ORDER BY pos DESC LIMIT 100")?;
                let rows = query.query_map([], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Vec<u8>>(2)?))
                })?;
                anyhow::ensure!(rows.count() == 100, "entries are missing");
            } else {
                let key = (times.len() % 1000).to_be_bytes();
                self.0
                    .prepare_cached("SELECT version, json FROM rows WHERE agg = ?1 AND key = ?2")?
                    .query_row(params![key, key], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
            }
            times.push(micros(began));
        }
        watch.stop(times)
    }
}
