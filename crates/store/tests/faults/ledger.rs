//! What is written and how one sees that all of it is there: each commit raises a number, says so in a plain row, and
//! appends it to a log; and each free commit appends one text to several logs.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use store::{
    Aggregate, Commit, CommitError, Committed, EntryId, Guarded, Json, Life, LogKind, NewBody, NewEntry, Options,
    Place, Plain, Size, Store, Version, View,
};
use types::{Clock, SystemClock, Timestamp};

pub const THING: Aggregate<u64> = Aggregate::new(1, "thing", Life::Kept);
pub const COUNT: Guarded<(), Json<u64>> = Guarded::new(1, "count", &THING, Size::Row);
pub const SHOWN: Plain<u64, (), Json<u64>> = Plain::new(1, "shown");
pub const OWED: LogKind<u64> = LogKind::new(1, "owed", None, Duration::ZERO, Duration::from_secs(600));
/// Where free commits append to, each to all of them.
pub const ALL: LogKind<u64> = LogKind::new(2, "all", None, Duration::ZERO, Duration::from_secs(600));

/// Logs that a free commit appends to.
pub const LOGS: u64 = 5;

/// The operating system's clock, so much ahead or behind.
struct Shifted {
    seconds: i64,
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.now().micros() + self.seconds * 1_000_000)
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
}

pub fn open(folder: &Path, clock_ahead: i64) -> Result<Store, store::OpenError> {
    open_with(folder, clock_ahead, FRESH)
}

/// Entries that may be fresh. So few that some are moved all the time, and that there are always both.
const FRESH: usize = 10;

/// As [`open`], with so many entries that may be fresh.
pub fn open_with(folder: &Path, clock_ahead: i64, fresh: usize) -> Result<Store, store::OpenError> {
    let mut options = Options::new(Place::Folder(folder.to_owned()), "a.example".parse().unwrap());
    options.fresh = fresh;
    options.clock = Arc::new(Shifted { seconds: clock_ahead });
    Store::open(options)
}

/// As [`open`], once the folder is free. A process that another test starts holds copies of this one's locks for a moment,
/// until it has become another program. Also says how long the opening itself took.
pub fn open_free(folder: &Path, clock_ahead: i64) -> (Store, Duration) {
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        let began = Instant::now();
        match open(folder, clock_ahead) {
            Err(store::OpenError::InUse { .. }) if began < patience => std::thread::yield_now(),
            opened => return (opened.unwrap(), began.elapsed()),
        }
    }
}

/// Raises the number of a thing by one.
pub async fn raise(store: &Store, thing: u64) -> Result<(u64, Committed), CommitError> {
    let view = store.view(THING.of(&thing)).await?;
    let next = count(&view).await? + 1;
    let mut commit = Commit::on(&view);
    commit.put(&COUNT, &(), &Json(next));
    commit.effect_put(&SHOWN, &thing, &(), &Json(next));
    commit.append(&OWED, &thing, text(next.to_string()));
    Ok((next, store.commit(commit).await?))
}

async fn count(view: &View) -> Result<u64, CommitError> {
    Ok(view.get(&COUNT, &()).await?.map_or(0, |row| row.value.0))
}

/// Appends one text to all logs.
pub async fn tell_all(store: &Store, what: &str) -> Result<Committed, CommitError> {
    let mut commit = Commit::free();
    for log in 0..LOGS {
        commit.append(&ALL, &log, text(what.to_owned()));
    }
    store.commit(commit).await
}

fn text(text: String) -> NewEntry {
    NewEntry { key: None, meta: Bytes::from(text), body: NewBody::Inline(Bytes::from_static(&[7; 200])) }
}

/// What was acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    /// Numbers by thing.
    pub counts: BTreeMap<u64, u64>,
    /// Texts of free commits.
    pub told: HashSet<String>,
    /// The largest version and time of an id.
    pub version: Version,
    pub tick: u64,
}

impl Acknowledged {
    /// Adds what a process said. Versions and ids rise from one process to the next.
    pub fn add(&mut self, later: Self) {
        if later.counts.is_empty() && later.told.is_empty() {
            return;
        }
        for (thing, count) in later.counts {
            let known = self.counts.entry(thing).or_default();
            *known = count.max(*known);
        }
        self.told.extend(later.told);
        self.version = self.version.max(later.version);
        self.tick = self.tick.max(later.tick);
    }
}

/// Everything acknowledged is there, and nothing is there by halves.
pub async fn verify(store: &Store, acknowledged: &Acknowledged) {
    for thing in 0..crate::child::THINGS {
        let view = store.view(THING.of(&thing)).await.unwrap();
        let count = count(&view).await.unwrap();
        let told = acknowledged.counts.get(&thing).copied().unwrap_or(0);
        assert!(count >= told, "thing {thing}: {told} was acknowledged, {count} is there");
        let shown = store.plain(&SHOWN, &thing).get(&()).await.unwrap().map_or(0, |row| row.value.0);
        assert_eq!(shown, count, "thing {thing}: the effect of its last commit");
        let owed = texts(store, &OWED, thing).await;
        let wanted: Vec<_> = (1..=count).map(|n| n.to_string()).collect();
        assert!(owed == wanted, "thing {thing}: an entry for each commit, in their order: {} of {count}", owed.len());
    }
    let first: HashSet<_> = texts(store, &ALL, 0).await.into_iter().collect();
    for log in 1..LOGS {
        let other: HashSet<_> = texts(store, &ALL, log).await.into_iter().collect();
        assert!(other == first, "a free commit appended to all logs or to none");
    }
    assert!(acknowledged.told.is_subset(&first), "what was acknowledged to all is there");
}

async fn texts(store: &Store, kind: &LogKind<u64>, of: u64) -> Vec<String> {
    let log = store.log(kind, &of);
    let (mut texts, mut cursor, mut last) = (Vec::new(), None, None::<EntryId>);
    loop {
        let batch = log.read_after(cursor, 1000).await.unwrap();
        for (id, entry) in batch.entries {
            assert!(Some(id) > last, "ids rise");
            last = Some(id);
            assert_eq!(entry.body.unwrap().len(), 200);
            texts.push(String::from_utf8(entry.meta.to_vec()).unwrap());
        }
        cursor = batch.next;
        if !batch.more {
            return texts;
        }
    }
}
