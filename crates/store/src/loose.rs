//! The weakest engine that the contract allows, for components' tests.
//!
//! SQLite in memory gives more than the contract promises, so code tested on it alone may come to rely on what a cluster
//! does not do. Here effects come late and piece by piece while their commit is not acknowledged, pages end early, entries
//! come twice, and commits are refused or left unknown by chance. All by a seed, so that a failure can be repeated as far
//! as the order of tasks can.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use types::{Clock, Domain, Rng, SeededRng, SystemClock};

use crate::{
    Appended, Catalogue, CommitError, CommitId, Committed, EntryId, LogRef, OpenError, Options, Place, ReadError,
    Store, Version,
    engine::{
        Engine, EntryPage, Head, HeadQuery, LogQuery, RawAppend, RawCommit, RawEffect, Report, RowPage, RowQuery,
    },
    sqlite::Sqlite,
    turns::Turns,
    watch::Feed,
};

/// How loose a store is to be.
#[derive(Clone)]
pub struct Loose {
    seed: u64,
    domain: Option<Domain>,
    clock: Arc<dyn Clock>,
    tables: Option<Catalogue>,
    conflicts: u16,
    unknowns: u16,
    doubles: u16,
}

impl Loose {
    /// Late effects, short pages, one batch of entries in four twice, one commit in twenty that expects an aggregate
    /// unchanged refused without reason, no unknown outcome.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            domain: None,
            clock: Arc::new(SystemClock),
            tables: None,
            conflicts: 50,
            unknowns: 0,
            doubles: 250,
        }
    }

    /// The backend domain; `loose.example` otherwise.
    #[must_use]
    pub fn domain(mut self, domain: Domain) -> Self {
        self.domain = Some(domain);
        self
    }

    /// The clock; the operating system's otherwise.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// All tables that there are; a commit to any other is refused.
    #[must_use]
    pub fn tables(mut self, tables: Catalogue) -> Self {
        self.tables = Some(tables);
        self
    }

    /// How many commits in a thousand that expect an aggregate unchanged are a `Conflict` without reason.
    #[must_use]
    pub fn conflicts(mut self, per_mille: u16) -> Self {
        self.conflicts = per_mille;
        self
    }

    /// How many commits in a thousand have an unknown outcome. Half of them are done.
    #[must_use]
    pub fn unknowns(mut self, per_mille: u16) -> Self {
        self.unknowns = per_mille;
        self
    }

    /// How many batches of entries in a thousand come twice.
    #[must_use]
    pub fn doubles(mut self, per_mille: u16) -> Self {
        self.doubles = per_mille;
        self
    }

    /// Makes the store.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(self) -> Result<Store, OpenError> {
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(self.seed));
        let domain = self.domain.unwrap_or_else(|| "loose.example".parse().expect("the grammar of domains admits it"));
        let options = Options {
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&rng),
            tables: self.tables,
            ..Options::new(Place::Memory, domain)
        };
        let feed = Feed::default();
        let engine = Engines {
            inner: Sqlite::open(&options, feed.clone())?,
            rng: SeededRng::new(self.seed ^ 0x1005_E000),
            chains: Turns::default(),
            conflicts: self.conflicts,
            unknowns: self.unknowns,
            doubles: self.doubles,
        };
        Ok(Store::over(Arc::new(LooseEngine(Arc::new(engine))), feed, self.clock, rng))
    }
}

struct LooseEngine(Arc<Engines>);

struct Engines {
    inner: Sqlite,
    rng: SeededRng,
    /// One commit at a time in each aggregate, effects and all.
    chains: Turns,
    conflicts: u16,
    unknowns: u16,
    doubles: u16,
}

#[async_trait]
impl Engine for LooseEngine {
    async fn head(&self, query: &HeadQuery) -> Result<Head, ReadError> {
        self.0.dawdle().await;
        self.0.inner.head(query).await
    }

    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        self.0.dawdle().await;
        self.0.inner.rows(&RowQuery { items: self.0.fewer(query.items), ..query.clone() }).await
    }

    async fn entries(&self, query: &LogQuery) -> Result<EntryPage, ReadError> {
        self.0.dawdle().await;
        self.0.inner.entries(&LogQuery { items: self.0.fewer(query.items), ..query.clone() }).await
    }

    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        let (engines, commit) = (Arc::clone(&self.0), Arc::clone(commit));
        // A task of its own: what was begun goes on when the caller goes away.
        let id = commit.id;
        let task = tokio::spawn(async move { engines.commit(&commit, deadline).await });
        task.await.unwrap_or(Err(CommitError::OutcomeUnknown { id }))
    }

    async fn trim(&self, log: &LogRef, upto: EntryId) -> Result<(), ReadError> {
        self.0.inner.trim(log, upto).await
    }

    async fn housekeep(&self, budget: Duration) -> Report {
        self.0.inner.housekeep(budget).await
    }

    async fn close(&self) {
        self.0.inner.close().await;
    }
}

impl Engines {
    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        let unknown = Err(CommitError::OutcomeUnknown { id: commit.id });
        let lost = self.chance(self.unknowns);
        if lost && self.rng.below(2) == 0 {
            return unknown;
        }
        let Some(aggregate) = &commit.aggregate else {
            let done = self.rest(commit, deadline).await;
            return if lost { unknown } else { done };
        };
        if aggregate.unchanged.is_some() && self.chance(self.conflicts) {
            return Err(CommitError::Conflict);
        }
        let _turn = self.chains.take(&aggregate.bytes).await;
        self.dawdle().await;
        let rows = RawCommit { effects: Vec::new(), bodies: Vec::new(), appends: Vec::new(), ..(**commit).clone() };
        let mut done = self.inner.commit(&Arc::new(rows), deadline).await?;
        if done.repeated {
            // Nothing is done again; this finds the entries.
            done = self.inner.commit(commit, deadline).await?;
        } else {
            // The rows are there already.
            let Ok(rest) = self.rest(commit, deadline).await else { return unknown };
            done.appended = rest.appended;
        }
        if lost { unknown } else { Ok(done) }
    }

    /// Effects and appends, in pieces.
    async fn rest(&self, commit: &RawCommit, deadline: Duration) -> Result<Committed, CommitError> {
        let mut effects = commit.effects.clone();
        for at in (1..effects.len()).rev() {
            effects.swap(at, self.below(at + 1));
        }
        let mut appends = commit.appends.clone();
        let mut done = Committed { version: Version::NEVER, appended: Vec::new(), settled: true, repeated: false };
        while !effects.is_empty() || !appends.is_empty() {
            self.dawdle().await;
            let some_effects: Vec<_> = effects.drain(..self.piece(effects.len())).collect();
            let some_appends: Vec<_> = appends.drain(..self.piece(appends.len())).collect();
            if some_effects.is_empty() && some_appends.is_empty() {
                continue;
            }
            let (version, appended) = match self.piece_of(commit, some_effects, some_appends, deadline).await {
                Ok(piece) => piece,
                Err(error) if done.version == Version::NEVER => return Err(error),
                Err(_) => return Err(CommitError::OutcomeUnknown { id: commit.id }),
            };
            done.version = done.version.max(version);
            done.appended.extend(appended);
        }
        self.dawdle().await;
        Ok(done)
    }

    async fn piece_of(
        &self,
        commit: &RawCommit,
        effects: Vec<RawEffect>,
        mut appends: Vec<RawAppend>,
        deadline: Duration,
    ) -> Result<(Version, Vec<Appended>), CommitError> {
        let superseded = if self.chance(self.doubles) { appends.len() } else { 0 };
        appends.extend_from_within(..superseded);
        let piece = RawCommit {
            id: CommitId::random(&self.rng),
            aggregate: None,
            effects,
            bodies: commit.bodies.clone(),
            appends,
            now: commit.now,
            bytes: commit.bytes,
        };
        let mut done = self.inner.commit(&Arc::new(piece), deadline).await?;
        Ok((done.version, done.appended.split_off(superseded)))
    }

    /// Lets others go first, a few times.
    async fn dawdle(&self) {
        for _ in 0..self.rng.below(4) {
            tokio::task::yield_now().await;
        }
    }

    fn chance(&self, per_mille: u16) -> bool {
        self.rng.below(1000) < u64::from(per_mille)
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap_or(0)
    }

    /// How much of what is left comes next: everything, half, or nothing yet.
    fn piece(&self, left: usize) -> usize {
        match self.rng.below(3) {
            0 => left,
            1 => left.div_ceil(2),
            _ => usize::from(left > 0 && left < 4),
        }
    }

    /// How many items a page gets: often all, otherwise any number from 1 on.
    fn fewer(&self, items: usize) -> usize {
        if self.chance(500) { items } else { 1 + self.below(items) }
    }
}
