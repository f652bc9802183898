//! The store: everything that is above the engine.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use types::{Clock, Domain, Rng, SystemClock, SystemRng};

use crate::{
    AggRef, Catalogue, Commit, CommitError, CommitId, Committed, Key, Log, LogKind, OpenError, Plain, PlainRows,
    ReadError, Rows, Value, Version, View, Watch,
    engine::{Engine, HeadQuery, RawCommit, Report},
    faults::Faults,
    limits::{self, Limit},
    sqlite::Sqlite,
    turns::Turns,
    watch::Feed,
};

/// Where a store is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a data folder, which is made if it is not there.
    Folder(PathBuf),
    /// In memory, gone with the last handle.
    Memory,
}

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Where it is kept.
    pub place: Place,
    /// The backend domain it belongs to. Remembered when the store is made; another one is refused ever after.
    pub domain: Domain,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// How long one operation may wait.
    pub deadline: Duration,
    /// All tables that there are. Then the database has a view for each, and a commit to any other is refused. `None`:
    /// the database tells nobody what is in it.
    pub tables: Option<Catalogue>,
    /// How many entries of all logs may stand in the order in which they came. When there are more, they are moved to their
    /// logs.
    pub fresh: usize,
    /// What fails, and when.
    #[cfg(feature = "faults")]
    pub faults: Faults,
}

impl Options {
    /// With the operating system's clock and randomness and the default deadline.
    pub fn new(place: Place, domain: Domain) -> Self {
        Self {
            place,
            domain,
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            deadline: limits::DEADLINE,
            tables: None,
            fresh: limits::FRESH,
            #[cfg(feature = "faults")]
            faults: Faults::default(),
        }
    }

    pub(crate) fn faults(&self) -> Faults {
        #[cfg(feature = "faults")]
        return self.faults.clone();
        #[cfg(not(feature = "faults"))]
        Faults::default()
    }
}

/// The backend domain that the store in a folder was made for, without opening it for work: a process that has it open is
/// not disturbed, and nothing is made or changed. `None` where there is no store yet.
///
/// # Errors
/// [`OpenError::Damaged`] or [`OpenError::Io`].
pub fn stored_domain(folder: &std::path::Path) -> Result<Option<String>, OpenError> {
    crate::sqlite::stored_domain(folder)
}

/// A handle on a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Inner>);

/// What handles, views and logs share.
pub(crate) struct Inner {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) turns: Arc<Turns>,
    feed: Feed,
    pub(crate) deadline: Duration,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or makes a store on the embedded engine. Blocks for as long as recovery takes, some milliseconds.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let feed = Feed::default();
        let engine = Sqlite::open(&options, feed.clone())?;
        Ok(Self::over(Arc::new(engine), feed, options.clock, options.rng).with_deadline(options.deadline))
    }

    /// A store over any engine, which announces on `feed` what it appends.
    pub fn over(engine: Arc<dyn Engine>, feed: Feed, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self(Arc::new(Inner { engine, clock, rng, turns: Arc::default(), feed, deadline: limits::DEADLINE }))
    }

    /// The same store for callers that can wait so long and no longer.
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        let inner = &*self.0;
        Self(Arc::new(Inner {
            engine: Arc::clone(&inner.engine),
            clock: Arc::clone(&inner.clock),
            rng: Arc::clone(&inner.rng),
            turns: Arc::clone(&inner.turns),
            feed: inner.feed.clone(),
            deadline,
        }))
    }

    /// The same store through an engine that wraps its own, as tests do to inject faults.
    #[must_use]
    pub fn wrapped(&self, wrap: impl FnOnce(Arc<dyn Engine>) -> Arc<dyn Engine>) -> Self {
        let inner = &*self.0;
        let engine = wrap(Arc::clone(&inner.engine));
        Self::over(engine, inner.feed.clone(), Arc::clone(&inner.clock), Arc::clone(&inner.rng))
            .with_deadline(inner.deadline)
    }

    /// The clock that expiry and ids go by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Opens an aggregate, to decide on.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn view(&self, aggregate: AggRef) -> Result<View, ReadError> {
        if aggregate.bytes.len() > limits::NAME + 2 {
            return Err(ReadError::TooLarge { what: Limit::Name });
        }
        let query = HeadQuery { kind: aggregate.kind, aggregate: aggregate.bytes.clone() };
        let head = self.0.engine.head(&query).await?;
        Ok(View { rows: self.peek(aggregate), version: head.version })
    }

    /// The rows of an aggregate, to show. Cheaper than opening; may show part of a commit that nobody has
    /// acknowledged yet.
    pub fn peek(&self, aggregate: AggRef) -> Rows {
        Rows { store: Arc::clone(&self.0), aggregate }
    }

    /// The rows of one partition of a plain table.
    pub fn plain<P: Key, K: Key, V: Value>(&self, table: &Plain<P, K, V>, part: &P) -> PlainRows<K, V> {
        PlainRows::new(Arc::clone(&self.0), table, part)
    }

    /// One log.
    pub fn log<I: Key>(&self, kind: &LogKind<I>, id: &I) -> Log {
        Log { store: Arc::clone(&self.0), log: kind.of(id) }
    }

    /// Does a commit. When it returns, everything in it is durable and seen by every later read.
    ///
    /// Once handed over it goes on even when the caller stops waiting.
    ///
    /// # Errors
    /// See [`CommitError`]; all but `OutcomeUnknown` mean that nothing happened and nothing will.
    ///
    /// Of a commit that is sent again under its id they tell of this time alone: one that was done the first time may be
    /// answered `Unavailable` now, by a store that did not come to look. It is done all the same, and who wants to know
    /// sends it once more.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        match self.raw(commit)? {
            Some(raw) => self.0.engine.commit(&raw, self.0.deadline).await,
            None => Ok(Committed { version: Version::NEVER, appended: Vec::new(), settled: true, repeated: false }),
        }
    }

    /// The commit in bytes; `None` for one that does nothing.
    pub(crate) fn raw(&self, commit: Commit) -> Result<Option<Arc<RawCommit>>, CommitError> {
        if commit.is_nothing() {
            return Ok(None);
        }
        let raw = commit.into_raw(self.0.clock.now(), || CommitId::random(&*self.0.rng))?;
        Ok(Some(Arc::new(raw)))
    }

    /// What this node appends to logs of that kind from now on.
    pub fn watch<I>(&self, kind: &LogKind<I>) -> Watch {
        self.0.feed.watch(kind.tag())
    }

    /// Removes what has expired, for about that long. Changes no answer; to be called now and then.
    pub async fn housekeep(&self, budget: Duration) -> Report {
        self.0.engine.housekeep(budget).await
    }

    /// Finishes what was begun and closes. Dropping the last handle instead loses nothing acknowledged either.
    pub async fn close(&self) {
        self.0.engine.close().await;
    }
}
