//! The embedded engine: one SQLite file, one writer, readers beside it.

mod apply;
mod checkpoint;
mod columns;
mod counter;
mod disk;
mod extent;
mod fresh;
mod lock;
mod lost;
mod point;
mod queue;
mod reader;
mod remove;
mod schema;
mod slice;
pub(crate) mod upkeep;
mod views;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use self::{
    apply::Applier,
    checkpoint::{Beside, Brake, Checkpointer},
    counter::{Count, Counter},
    lock::FolderLock,
    lost::Lost,
    queue::{Queue, Work},
    schema::Refusal,
    writer::{State, Writer},
};
use crate::{
    Catalogue, CommitError, Committed, EntryId, LogRef, OpenError, Options, Place, ReadError, Reason,
    engine::{Engine, EntryPage, Head, HeadQuery, LogQuery, LogRange, RawCommit, Report, RowPage, RowQuery},
    hybrid::Hybrid,
    watch::Feed,
};
pub use point::Point;

/// Reading connections.
const READERS: usize = 4;
/// Page cache of one reading connection, KiB.
const READER_CACHE: i64 = 8 << 10;
/// Page cache of the writing connection, KiB.
const WRITER_CACHE: i64 = 16 << 10;
/// Prepared statements kept on a connection.
const STATEMENTS: usize = 64;
/// How long the writer waits for a foreign process that holds the database, such as a shell.
const BUSY: Duration = Duration::from_secs(2);
/// The log of SQLite is cut to this when it begins from its start again, bytes.
const WAL_KEPT: i64 = 64 << 20;
/// The name of the database in the data folder.
const FILE: &str = "store.sqlite";

/// SQLite in a data folder or in memory.
pub(crate) struct Sqlite(Arc<Running>);

struct Running {
    queue: Queue,
    readers: Arc<Readers>,
    node: u64,
    /// Of which times nothing is known.
    lost: Lost,
    /// Names this opening: nobody else has the database open.
    opening: Uuid,
    /// How long a read may wait for its turn.
    deadline: Duration,
    tables: Option<Catalogue>,
    parts: Mutex<Option<Parts>>,
}

/// What ends when the store is closed, in this order.
struct Parts {
    writer: JoinHandle<()>,
    checkpointer: Option<Checkpointer>,
    lock: Option<FolderLock>,
}

/// The domain that is written in the database of a folder, if there is one.
pub(crate) fn stored_domain(folder: &Path) -> Result<Option<String>, OpenError> {
    let file = folder.join(FILE);
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(source) => return Err(OpenError::Io { folder: folder.to_owned(), source }),
    }
    let damaged = |reason: String| OpenError::Damaged { folder: folder.to_owned(), reason };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&file, flags).map_err(|error| damaged(error.to_string()))?;
    schema::domain(&conn).map_err(|error| damaged(error.to_string()))
}

impl Sqlite {
    /// Opens or makes the database.
    pub(crate) fn open(options: &Options, feed: Feed) -> Result<Self, OpenError> {
        check_version(rusqlite::version_number(), rusqlite::version())?;
        options.tables.as_ref().map_or(Ok(()), Catalogue::check)?;
        match &options.place {
            Place::Folder(folder) => Self::in_folder(folder, options, feed, Brake::default()),
            Place::Memory => Self::in_memory(options, feed),
        }
    }

    fn in_folder(folder: &Path, options: &Options, feed: Feed, brake: Brake) -> Result<Self, OpenError> {
        let file = folder.join(FILE);
        let lock = FolderLock::take(folder, &file)?;
        let failed = |error| refusal(Refusal::Sqlite(error), folder, options);
        let io = |source| OpenError::Io { folder: folder.to_owned(), source };
        let counted = Counter::read(folder).map_err(io)?;
        let mut conn = writing(&file).map_err(failed)?;
        // What is refused stays as it was found: closing it copies nothing of its log.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
        let meta = schema::prepare(&mut conn, options, counted).map_err(|why| refusal(why, folder, options))?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
        let counter = Counter::start(folder, Count { node: meta.node, commits: meta.commits }).map_err(io)?;
        disk::sync_folder(folder).map_err(io)?;
        let brake = Arc::new(brake);
        let beside = Beside {
            conn: writing(&file).map_err(failed)?,
            counter: counter.handle().map_err(io)?,
            faults: options.faults(),
        };
        let checkpointer = Checkpointer::start(beside, Arc::clone(&brake)).map_err(io)?;
        let mut pool = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            pool.push(Arc::new(Mutex::new(reading(&file).map_err(failed)?)));
        }
        let writer = Writer {
            conn: Arc::new(Mutex::new(conn)),
            reopen: Some(Box::new(move || writing(&file))),
            applier: Applier::new(Hybrid::starting_at(Arc::clone(&options.clock), meta.ceiling), meta.node),
            clock: Arc::clone(&options.clock),
            feed,
            brake,
            counter: Some(counter),
            faults: options.faults(),
            fresh: options.fresh as u64,
            state: State::default(),
        };
        Self::start(writer, Readers::new(pool), options, meta.lost, Some(checkpointer), Some(lock)).map_err(io)
    }

    fn in_memory(options: &Options, feed: Feed) -> Result<Self, OpenError> {
        let folder = PathBuf::from(":memory:");
        let failed = |why| refusal(why, &folder, options);
        let mut conn = Connection::open_in_memory().map_err(|error| failed(Refusal::Sqlite(error)))?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        let meta = schema::prepare(&mut conn, options, None).map_err(failed)?;
        let conn = Arc::new(Mutex::new(conn));
        let writer = Writer {
            conn: Arc::clone(&conn),
            reopen: None,
            applier: Applier::new(Hybrid::starting_at(Arc::clone(&options.clock), meta.ceiling), meta.node),
            clock: Arc::clone(&options.clock),
            feed,
            brake: Arc::new(Brake::default()),
            counter: None,
            faults: options.faults(),
            fresh: options.fresh as u64,
            state: State::default(),
        };
        let io = |source| OpenError::Io { folder: folder.clone(), source };
        Self::start(writer, Readers::new(vec![conn]), options, meta.lost, None, None).map_err(io)
    }

    fn start(
        writer: Writer,
        readers: Readers,
        options: &Options,
        lost: Lost,
        checkpointer: Option<Checkpointer>,
        lock: Option<FolderLock>,
    ) -> Result<Self, std::io::Error> {
        let node = writer.applier.node;
        let (queue, inbox) = Queue::new(lock.is_none());
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&inbox))?;
        let parts = Parts { writer: thread, checkpointer, lock };
        let (readers, parts) = (Arc::new(readers), Mutex::new(Some(parts)));
        let (opening, deadline, tables) = (options.rng.uuid(), options.deadline, options.tables.clone());
        Ok(Self(Arc::new(Running { queue, readers, node, lost, opening, deadline, tables, parts })))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let readers = Arc::clone(&self.0.readers);
        let turn = timeout(self.0.deadline, Arc::clone(&readers.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(ReadError::unavailable()) };
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            readers.with(read)
        });
        task.await.unwrap_or_else(|_| Err(ReadError::unavailable()))
    }
}

impl Running {
    /// Does what waits, and ends. The lock goes last.
    fn shut(&self) {
        self.queue.close();
        self.readers.turns.close();
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Parts { writer, checkpointer, lock }) = parts {
            if writer.join().is_err() {
                tracing::error!("the writer of the store ended in a panic");
            }
            self.readers.close();
            drop(checkpointer);
            drop(lock);
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.0.shut();
    }
}

#[async_trait]
impl Engine for Sqlite {
    fn opening(&self) -> Option<Uuid> {
        Some(self.0.opening)
    }

    async fn head(&self, query: &HeadQuery) -> Result<Head, ReadError> {
        let HeadQuery { kind, aggregate } = query.clone();
        self.read(move |conn| reader::head(conn, kind, &aggregate)).await
    }

    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        let query = query.clone();
        self.read(move |conn| reader::rows(conn, &query)).await
    }

    async fn entries(&self, query: &LogQuery) -> Result<EntryPage, ReadError> {
        let from_lost_time = matches!(query.range, LogRange::After(Some(cursor)) if self.0.lost.covers(cursor));
        let (query, node) = (query.clone(), self.0.node);
        let mut page = self.read(move |conn| reader::entries(conn, node, &query)).await?;
        page.lost |= from_lost_time;
        Ok(page)
    }

    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        if let Some(undeclared) = self.0.tables.as_ref().and_then(|tables| tables.undeclared(commit)) {
            return Err(CommitError::Refused(Reason::Undeclared(undeclared)));
        }
        self.0.queue.commit(commit, deadline).await
    }

    async fn trim(&self, log: &LogRef, upto: EntryId) -> Result<(), ReadError> {
        let trimmed = self.0.queue.ask(self.0.deadline, |answer| Work::Trim { log: log.clone(), upto, answer }).await;
        trimmed.unwrap_or_else(|| Err(ReadError::unavailable()))
    }

    async fn housekeep(&self, budget: Duration) -> Report {
        // It may take its budget, and wait as any work.
        let deadline = budget.saturating_add(self.0.deadline);
        self.0.queue.ask(deadline, |answer| Work::Housekeep { budget, answer }).await.unwrap_or_default()
    }

    async fn close(&self) {
        let running = Arc::clone(&self.0);
        // Joining a thread blocks. If the runtime is going down, dropping does it.
        let _ = tokio::task::spawn_blocking(move || running.shut()).await;
    }
}

/// The connections that read: each busy with one question at a time.
struct Readers {
    turns: Arc<Semaphore>,
    pool: Mutex<Vec<Arc<Mutex<Connection>>>>,
}

impl Readers {
    fn new(pool: Vec<Arc<Mutex<Connection>>>) -> Self {
        Self { turns: Arc::new(Semaphore::new(pool.len())), pool: Mutex::new(pool) }
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let Some(conn) = self.pool().pop() else { return Err(ReadError::unavailable()) };
        let done = read(&conn.lock().unwrap_or_else(PoisonError::into_inner));
        // After closing the connection goes with its last question.
        if !self.turns.is_closed() {
            self.pool().push(conn);
        }
        done
    }

    fn close(&self) {
        self.pool().clear();
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Mutex<Connection>>>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that writes.
fn writing(file: &Path) -> Result<Connection, rusqlite::Error> {
    let conn = Connection::open(file)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// A connection that reads.
fn reading(file: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// SQLite 3.7.0 to 3.51.2 can, rarely, damage a database when several connections checkpoint.
fn check_version(number: i32, found: &'static str) -> Result<(), OpenError> {
    if number < 3_051_003 { Err(OpenError::OldSqlite { found }) } else { Ok(()) }
}

fn refusal(why: Refusal, folder: &Path, options: &Options) -> OpenError {
    let folder = folder.to_owned();
    match why {
        Refusal::NewerFormat(found) => OpenError::NewerFormat { found, known: schema::FORMAT },
        Refusal::NotAStore(reason) => OpenError::Damaged { folder, reason: reason.to_owned() },
        Refusal::LostCommits { found, counted } => {
            OpenError::LostCommits { counter: Counter::path(&folder), folder, found, counted }
        }
        Refusal::OtherDomain(stored) => OpenError::OtherDomain { stored, asked: options.domain.clone() },
        Refusal::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                OpenError::Damaged { folder, reason: error.to_string() }
            }
            _ => OpenError::Io { folder, source: std::io::Error::other(error) },
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_read_does_not_wait_for_its_turn_for_ever() {
        let mut options = Options::new(Place::Memory, "a.example".parse().unwrap());
        options.deadline = Duration::from_millis(20);
        let engine = Sqlite::open(&options, Feed::default()).unwrap();
        let query = HeadQuery { kind: "thing", aggregate: bytes::Bytes::from_static(b"thing") };
        let others = Arc::clone(&engine.0.readers.turns).acquire_owned().await.unwrap();
        let waited = timeout(Duration::from_secs(20), engine.head(&query)).await.expect("it ends");
        assert_eq!(waited.unwrap_err(), ReadError::unavailable());
        drop(others);
        assert!(engine.head(&query).await.is_ok());
    }

    /// While writers never pause SQLite cannot begin its log anew by itself.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_stays_within_its_bound_while_writers_never_pause() {
        const CAP: u64 = 4 << 20;
        const WRITERS: usize = 8;
        const BYTES: u64 = 60_000;
        /// So much is written if the log knows no bound.
        const MOST: u64 = 1 << 30;
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(Place::Folder(folder.path().to_owned()), "a.example".parse().unwrap());
        let engine = Sqlite::in_folder(folder.path(), &options, Feed::default(), Brake::at(CAP)).unwrap();
        let store = crate::Store::over(Arc::new(engine), Feed::default(), options.clock, options.rng);
        let kind = crate::LogKind::<u64>::new(1, "log", None, Duration::ZERO, Duration::from_secs(1));
        let (written, largest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..WRITERS {
            let (store, log) = (store.clone(), folder.path().join("store.sqlite-wal"));
            let (written, largest) = (Arc::clone(&written), Arc::clone(&largest));
            writers.spawn(async move {
                // A checkpoint is looked at every 100 ms, and what is written until then comes on top: so until it is
                // plain that the log began anew, on a fast disk after more than on a slow one.
                let plain = |written: u64| written > 6 * CAP && 3 * largest.load(Ordering::Relaxed) < written;
                while !plain(written.load(Ordering::Relaxed)) && written.load(Ordering::Relaxed) < MOST {
                    let mut commit = crate::Commit::free();
                    let body = crate::NewBody::Inline(bytes::Bytes::from(vec![7; BYTES as usize]));
                    commit.append(&kind, &1, crate::NewEntry { body, ..crate::NewEntry::default() });
                    store.commit(commit).await.unwrap();
                    written.fetch_add(BYTES, Ordering::Relaxed);
                    largest.fetch_max(std::fs::metadata(&log).unwrap().len(), Ordering::Relaxed);
                }
            });
        }
        writers.join_all().await;
        let (written, largest) = (written.load(Ordering::Relaxed), largest.load(Ordering::Relaxed));
        assert!(written < MOST, "{largest} of {written}");
        store.close().await;
    }

    #[test]
    fn an_old_sqlite_is_refused() {
        assert!(matches!(check_version(3_051_002, "3.51.2"), Err(OpenError::OldSqlite { found: "3.51.2" })));
        assert!(check_version(3_051_003, "3.51.3").is_ok());
        assert!(check_version(rusqlite::version_number(), rusqlite::version()).is_ok());
    }
}
