//! A process that is killed at a certain call of its engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use store::{
    CommitError, Committed, EntryId, LogRef, ReadError, Store,
    engine::{Engine, EntryPage, Forward, Head, HeadQuery, LogQuery, RawCommit, RowPage, RowQuery},
    limits,
};

/// The store as a process has it that is killed at its `n`th call, counted from 0: that call and all later ones fail. With
/// `after`, that call is still carried out, as when the process dies before it hears the answer.
///
/// It does not have the store for itself.
pub fn killed(store: &Store, kill_at: usize, after: bool) -> Store {
    store.wrapped(|engine| Arc::new(Killed { engine, calls: AtomicUsize::new(0), kill_at, after }))
}

/// The store as one of several processes has it.
pub fn shared(store: &Store) -> Store {
    killed(store, usize::MAX, false)
}

struct Killed {
    engine: Arc<dyn Engine>,
    calls: AtomicUsize,
    kill_at: usize,
    after: bool,
}

/// What becomes of a call.
struct Fate {
    done: bool,
    told: bool,
}

impl Killed {
    fn fate(&self) -> Fate {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        Fate { done: call < self.kill_at || (self.after && call == self.kill_at), told: call < self.kill_at }
    }

    fn read(&self) -> Result<(), ReadError> {
        if self.fate().told { Ok(()) } else { Err(ReadError::Unavailable { retry_after: limits::RETRY_AFTER }) }
    }
}

#[async_trait]
impl Forward for Killed {
    fn inner(&self) -> &dyn Engine {
        &*self.engine
    }

    async fn head(&self, query: &HeadQuery) -> Result<Head, ReadError> {
        self.read()?;
        self.engine.head(query).await
    }

    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        self.read()?;
        self.engine.rows(query).await
    }

    async fn entries(&self, query: &LogQuery) -> Result<EntryPage, ReadError> {
        self.read()?;
        self.engine.entries(query).await
    }

    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        let fate = self.fate();
        let done = if fate.done { Some(self.engine.commit(commit, deadline).await) } else { None };
        match done {
            Some(done) if fate.told => done,
            _ => Err(CommitError::Unavailable { retry_after: limits::RETRY_AFTER }),
        }
    }

    async fn trim(&self, log: &LogRef, upto: EntryId) -> Result<(), ReadError> {
        let fate = self.fate();
        if fate.done {
            self.engine.trim(log, upto).await?;
        }
        if fate.told { Ok(()) } else { Err(ReadError::Unavailable { retry_after: limits::RETRY_AFTER }) }
    }
}
