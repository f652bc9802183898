//! What a property is tried on: a store on one of the engines, a clock moved by hand, and tables for everything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use store::{
    Aggregate, Commit, CommitError, Committed, EntryId, Guarded, Json, Life, Log, LogKind, NewBody, NewEntry, Options,
    Place, Plain, Size, Store, View, limits, loose::Loose,
};
use tempfile::TempDir;
use types::{Clock, ManualClock, SeededRng, Timestamp};

pub const THING: Aggregate<u64> = Aggregate::new(1, "thing", Life::Kept);
pub const ITEM: Guarded<(String, u16), String> = Guarded::new(10, "item", &THING, Size::Row);
pub const BEFORE: Guarded<(String, u16), String> = Guarded::new(9, "before", &THING, Size::Row);
pub const BEHIND: Guarded<(String, u16), String> = Guarded::new(11, "behind", &THING, Size::Row);
pub const COUNT: Guarded<(), Json<u64>> = Guarded::new(12, "count", &THING, Size::Row);
pub const BYTES: Guarded<u32, Bytes> = Guarded::new(13, "bytes", &THING, Size::Row);
pub const LARGE: Guarded<u8, Bytes> = Guarded::new(14, "large", &THING, Size::Large);
pub const LIST: Plain<u64, u64, String> = Plain::new(1, "list");
pub const STREAM: LogKind<u64> = LogKind::new(1, "stream", Some(TTL), MEMORY, DAY);
pub const OWED: LogKind<u64> = LogKind::new(2, "owed", None, MEMORY, DAY);

pub const TTL: Duration = Duration::from_secs(60);
pub const MEMORY: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite in a folder. Its entries all stay fresh.
    File,
    Loose,
    /// SQLite in memory. Its entries all stay fresh.
    Memory,
    /// SQLite in a folder. Three entries may be fresh; after it was opened again none, or all that come.
    Mixed,
    /// SQLite in memory. No entry stays fresh.
    Moved,
}

impl Kind {
    pub fn is_in_folder(self) -> bool {
        matches!(self, Self::File | Self::Mixed)
    }

    /// How many entries may be fresh when it is opened for the `nth` time, counted from 0.
    fn fresh(self, nth: usize) -> usize {
        match self {
            Self::Mixed => [3, 0, limits::FRESH][nth % 3],
            Self::Moved => 0,
            Self::File | Self::Loose | Self::Memory => limits::FRESH,
        }
    }
}

pub struct Bench {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub kind: Kind,
    pub folder: Option<TempDir>,
    /// How often it was opened again.
    pub again: usize,
}

pub fn domain() -> types::Domain {
    "a.example".parse().unwrap()
}

/// More rounds when there is time for them.
pub fn rounds(few: usize) -> usize {
    if std::env::var_os("FERRULE_TEST_LONG").is_some() { few * 20 } else { few }
}

impl Bench {
    pub fn new(kind: Kind) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let folder = kind.is_in_folder().then(|| tempfile::tempdir().unwrap());
        let store = open(kind, folder.as_ref(), &clock, 0).unwrap();
        Self { store, clock, kind, folder, again: 0 }
    }

    /// A loose store that is looser than usual in one respect.
    pub fn looser(self, how: impl FnOnce(Loose) -> Loose) -> Self {
        if self.kind != Kind::Loose {
            return self;
        }
        let loose = Loose::new(7).domain(domain()).clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        Self { store: how(loose).open().unwrap(), ..self }
    }

    /// The store after its process ended without closing it. Only a folder outlives its process; the others go on.
    pub fn reopened(self) -> Self {
        if !self.kind.is_in_folder() {
            return self;
        }
        let Self { store, clock, kind, folder, again } = self;
        drop(store);
        let again = again + 1;
        let store = free(|| open(kind, folder.as_ref(), &clock, again)).unwrap();
        Self { store, clock, kind, folder, again }
    }

    /// Another connection to the database in the folder, if there is one.
    pub fn database(&self) -> Option<rusqlite::Connection> {
        let folder = self.folder.as_ref()?;
        Some(rusqlite::Connection::open(folder.path().join("store.sqlite")).unwrap())
    }

    /// Does a commit that nothing stands against. A loose store may call that a conflict a few times.
    pub async fn sure(&self, commit: impl Fn() -> Commit) -> Committed {
        for _ in 0..50 {
            match self.store.commit(commit()).await {
                Err(CommitError::Conflict) if self.kind == Kind::Loose => {}
                done => return done.unwrap(),
            }
        }
        panic!("a loose store refuses one commit in twenty, not fifty in a row");
    }

    /// Opens an aggregate and commits on it; again when others, whose callers went away, are still at it.
    pub async fn set(&self, id: u64, commit: impl Fn(&mut Commit)) -> Committed {
        for _ in 0..200 {
            let mut c = Commit::on(&self.view(id).await);
            commit(&mut c);
            match self.store.commit(c).await {
                Err(CommitError::Conflict) => {}
                done => return done.unwrap(),
            }
        }
        panic!("those who are at it come to an end");
    }

    pub async fn view(&self, id: u64) -> View {
        self.store.view(THING.of(&id)).await.unwrap()
    }

    pub async fn count(&self, id: u64) -> Option<u64> {
        self.view(id).await.get(&COUNT, &()).await.unwrap().map(|row| row.value.0)
    }

    pub async fn listed(&self, part: u64, key: u64) -> Option<String> {
        self.store.plain(&LIST, &part).get(&key).await.unwrap().map(|row| row.value)
    }

    pub fn owed(&self, id: u64) -> Log {
        self.store.log(&OWED, &id)
    }

    /// The first occurrences of all entries of a log, as text of `meta`.
    pub async fn texts(&self, log: &Log) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let all = all(log).await.into_iter();
        all.filter(|(_, key, _)| seen.insert(key.clone())).map(|(_, _, text)| text).collect()
    }
}

static OPENED: AtomicU64 = AtomicU64::new(7);

fn open(
    kind: Kind,
    folder: Option<&TempDir>,
    clock: &Arc<ManualClock>,
    again: usize,
) -> Result<Store, store::OpenError> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let place = match (kind, folder) {
        (Kind::Loose, _) => return Loose::new(7).domain(domain()).clock(clock).open(),
        (_, Some(folder)) => Place::Folder(folder.path().to_owned()),
        (_, None) => Place::Memory,
    };
    let mut options = Options::new(place, domain());
    options.clock = clock;
    options.fresh = kind.fresh(again);
    // Each opening has randomness of its own: a restart does not bring commit ids back.
    options.rng = Arc::new(SeededRng::new(OPENED.fetch_add(1, Ordering::Relaxed)));
    Store::open(options)
}

/// Opens what is locked, once it is free.
pub fn free(open: impl Fn() -> Result<Store, store::OpenError>) -> Result<Store, store::OpenError> {
    let patience = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        match open() {
            Err(store::OpenError::InUse { .. }) if std::time::Instant::now() < patience => std::thread::yield_now(),
            opened => return opened,
        }
    }
}

/// All entries of a log, doubles and all: id, key, text.
pub async fn all(log: &Log) -> Vec<(EntryId, Bytes, String)> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let batch = log.read_after(cursor, 1000).await.unwrap();
        cursor = batch.next;
        all.extend(batch.entries.into_iter().map(|(id, entry)| (id, entry.key.clone(), text(&entry.meta))));
        if !batch.more {
            return all;
        }
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn entry(text: impl Into<String>) -> NewEntry {
    NewEntry { key: None, meta: Bytes::from(text.into()), body: NewBody::None }
}

/// Waits until something is so that happens elsewhere without telling.
pub async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !so().await {
        assert!(std::time::Instant::now() < end, "{what}");
        tokio::task::yield_now().await;
    }
}

/// Begins something and goes away before it ends.
pub async fn begin_and_leave<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
