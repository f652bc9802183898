//! Work on the store.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use store::{
    Aggregate, Commit, CommitError, Guarded, Json, Life, LogKind, NewBody, NewEntry, Options, Place, Size, Store,
    Version,
};
use tokio::task::JoinSet;

use super::{
    ROW, cpu,
    writers::{Load, Measured, Watch, micros},
};

const THING: Aggregate<u64> = Aggregate::new(1, "thing", Life::Kept);
const VALUE: Guarded<(), Json<String>> = Guarded::new(1, "value", &THING, Size::Row);
const KEPT: LogKind<u64> = LogKind::new(1, "kept", None, Duration::ZERO, Duration::from_secs(600));
const FADING: LogKind<u64> =
    LogKind::new(2, "fading", Some(Duration::from_millis(1)), Duration::ZERO, Duration::from_secs(600));

/// Entries of one log that are appended by one commit where many are needed.
const AT_ONCE: usize = 10_000;

pub(super) fn open(folder: &Path) -> Result<Store> {
    fs::create_dir_all(folder)?;
    Ok(Store::open(Options::new(Place::Folder(folder.to_owned()), "bench.example".parse()?))?)
}

fn entry() -> NewEntry {
    NewEntry { key: None, meta: Bytes::from_static(&[1; 20]), body: NewBody::Inline(Bytes::from_static(&[2; 300])) }
}

/// What a member of a conversation gets: a ciphertext for each of his clients.
fn message() -> NewEntry {
    NewEntry { body: NewBody::Inline(Bytes::from_static(&[2; 900])), ..entry() }
}

/// Writers, each on an aggregate of its own.
pub async fn write(folder: &Path, load: Load) -> Result<Measured> {
    let store = open(folder)?;
    let measured = writers(&store, load.writers, until(load.lasts)).await?;
    store.close().await;
    Ok(measured)
}

fn until(lasts: Duration) -> impl Fn() -> bool + Clone + Send + 'static {
    let until = Instant::now() + lasts;
    move || Instant::now() < until
}

async fn writers(store: &Store, writers: usize, on: impl Fn() -> bool + Clone + Send + 'static) -> Result<Measured> {
    let watch = Watch::start()?;
    let mut tasks = JoinSet::new();
    for writer in 0..writers as u64 {
        tasks.spawn(replace(store.clone(), writer, on.clone()));
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done.context("a writer panicked")??);
    }
    watch.stop(times)
}

/// Replaces a row, expecting the version that it had.
pub(super) async fn replace(store: Store, writer: u64, on: impl Fn() -> bool) -> Result<Vec<u32>, CommitError> {
    let value = Json("x".repeat(ROW));
    let row = store.peek(THING.of(&writer)).get(&VALUE, &()).await?;
    let (mut version, mut times) = (row.map_or(Version::NEVER, |row| row.version), Vec::new());
    while on() {
        let began = Instant::now();
        let mut commit = Commit::at(THING.of(&writer));
        commit.expect(&VALUE, &(), version);
        commit.put(&VALUE, &(), &value);
        version = store.commit(commit).await?.version;
        times.push(micros(began));
    }
    Ok(times)
}

/// What commits take that append to so many logs, with their CPU time.
pub async fn fan_out(folder: &Path, appends: usize, times: usize) -> Result<Vec<(Duration, Duration)>> {
    let store = open(folder)?;
    let commit = || {
        let mut commit = Commit::free();
        (0..appends as u64).for_each(|log| commit.append(&KEPT, &log, message()));
        commit
    };
    store.commit(commit()).await?;
    let mut taken = Vec::new();
    for _ in 0..times {
        let (began, before) = (Instant::now(), cpu()?);
        store.commit(commit()).await?;
        taken.push((began.elapsed(), cpu()?.saturating_sub(before)));
    }
    store.close().await;
    Ok(taken)
}

/// One who reads.
pub struct Reader(Store);

impl Reader {
    /// 1000 rows, and a log of 10 000 entries.
    pub async fn prepare(folder: &Path) -> Result<Self> {
        let store = open(folder)?;
        for row in 0..1000 {
            let mut commit = Commit::at(THING.of(&row));
            commit.put(&VALUE, &(), &Json("x".repeat(ROW)));
            store.commit(commit).await?;
        }
        fill(&store, &KEPT, 10_000).await?;
        Ok(Self(store))
    }

    /// Reads for so long.
    pub async fn read(&self, newest: bool, lasts: Duration) -> Result<Measured> {
        let watch = Watch::start()?;
        let (on, mut times) = (until(lasts), Vec::new());
        while on() {
            let began = Instant::now();
            if newest {
                let page = self.0.log(&KEPT, &0).read_before(None, 100).await?;
                ensure!(page.entries.len() == 100, "entries are missing");
            } else {
                let row = self.0.peek(THING.of(&(times.len() as u64 % 1000))).get(&VALUE, &()).await?;
                ensure!(row.is_some(), "a row is missing");
            }
            times.push(micros(began));
        }
        watch.stop(times)
    }
}

async fn fill(store: &Store, log: &LogKind<u64>, entries: usize) -> Result<()> {
    let mut left = entries;
    while left > 0 {
        let now = left.min(AT_ONCE);
        let mut commit = Commit::free();
        (0..now).for_each(|_| commit.append(log, &0, entry()));
        store.commit(commit).await?;
        left -= now;
    }
    Ok(())
}

/// What writers did before, while and after expired entries were removed.
#[derive(Default)]
pub struct Swept {
    pub clean: Vec<Measured>,
    pub sweeping: Vec<Measured>,
    pub again: Vec<Measured>,
    pub removed: u64,
    pub removing: Duration,
}

pub async fn sweep(folder: &Path, rounds: usize, expiring: usize, lasts: Duration) -> Result<Swept> {
    const WRITERS: usize = 16;
    let store = open(folder)?;
    let mut swept = Swept::default();
    for _ in 0..rounds {
        fill(&store, &FADING, expiring / rounds).await?;
        swept.clean.push(writers(&store, WRITERS, until(lasts)).await?);
        let swept_all = Arc::new(AtomicBool::new(false));
        let sweeping = tokio::spawn({
            let (store, swept_all) = (store.clone(), Arc::clone(&swept_all));
            async move {
                let (began, mut removed) = (Instant::now(), 0);
                loop {
                    let report = store.housekeep(Duration::from_millis(500)).await;
                    removed += report.entries;
                    if !report.more {
                        break;
                    }
                }
                swept_all.store(true, Ordering::Relaxed);
                (removed, began.elapsed())
            }
        });
        // As long as there is something to remove.
        let measured = writers(&store, WRITERS, move || !swept_all.load(Ordering::Relaxed)).await?;
        let (removed, took) = sweeping.await?;
        ensure!(removed >= (expiring / rounds) as u64, "{removed} entries were removed");
        swept.removed += removed;
        swept.removing += took;
        swept.sweeping.push(measured);
        swept.again.push(writers(&store, WRITERS, until(lasts)).await?);
    }
    store.close().await;
    Ok(swept)
}
