//! A store that fails when it is told to, between any two commits.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use store::{
    CommitError, Committed, EntryId, LogRef, ReadError, Version,
    engine::{Engine, EntryPage, HeadQuery, LogQuery, RawCommit, Report, RowPage, RowQuery},
};

/// Passes everything on to another engine until it is told to stop.
pub struct Faulty {
    inner: Arc<dyn Engine>,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
enum State {
    /// No commit is done any more.
    Dead,
    /// Dead after the next commit on that kind of aggregate.
    DiesAfter(&'static str),
    /// Dead before the next commit on that kind of aggregate.
    DiesBefore(&'static str),
    Fine,
    /// Commits on that kind of aggregate are not done, all others are.
    Refuses(&'static str),
}

impl Faulty {
    pub fn over(inner: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { inner, state: Mutex::new(State::Fine) })
    }

    /// Does the next commit on that kind of aggregate and none after it, as if the process had been killed then.
    pub fn die_after(&self, kind: &'static str) {
        *self.state.lock().unwrap() = State::DiesAfter(kind);
    }

    /// Does neither the next commit on that kind of aggregate nor any after it.
    pub fn die_before(&self, kind: &'static str) {
        *self.state.lock().unwrap() = State::DiesBefore(kind);
    }

    /// Does no commit on that kind of aggregate, but all others.
    pub fn refuse(&self, kind: &'static str) {
        *self.state.lock().unwrap() = State::Refuses(kind);
    }

    /// Works again.
    pub fn heal(&self) {
        *self.state.lock().unwrap() = State::Fine;
    }

    /// Whether this commit is done.
    fn does(&self, kind: Option<&'static str>) -> bool {
        let mut state = self.state.lock().unwrap();
        let (next, done) = match *state {
            State::Dead => (State::Dead, false),
            State::DiesAfter(last) if kind == Some(last) => (State::Dead, true),
            State::DiesBefore(last) if kind == Some(last) => (State::Dead, false),
            State::Refuses(one) => (State::Refuses(one), kind != Some(one)),
            state => (state, true),
        };
        *state = next;
        done
    }
}

#[async_trait]
impl Engine for Faulty {
    async fn head(&self, query: &HeadQuery) -> Result<Version, ReadError> {
        self.inner.head(query).await
    }

    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        self.inner.rows(query).await
    }

    async fn entries(&self, query: &LogQuery) -> Result<EntryPage, ReadError> {
        self.inner.entries(query).await
    }

    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        if self.does(commit.aggregate.as_ref().map(|aggregate| aggregate.kind)) {
            return self.inner.commit(commit, deadline).await;
        }
        Err(CommitError::Unavailable { retry_after: Duration::from_secs(2) })
    }

    async fn trim(&self, log: &LogRef, upto: EntryId) -> Result<(), ReadError> {
        self.inner.trim(log, upto).await
    }

    async fn housekeep(&self, budget: Duration) -> Report {
        self.inner.housekeep(budget).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
