//! Commits whose outcome nobody tells.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use store::{
    Commit, CommitError, Committed, Json, ReadError, Store, UpdateError,
    engine::{Engine, Forward, RawCommit},
    limits,
};

use crate::bench::{Bench, COUNT, OWED, THING, entry};

/// What becomes of one sending of a commit.
#[derive(Clone, Copy)]
pub enum Fate {
    /// It is done, and nobody says so.
    Done,
    /// It is not done, and nobody says so.
    Lost,
    /// It is refused as a conflict, as if somebody had been faster.
    Overtaken,
    /// It is done or not, and the answer is the engine's.
    Told,
}

type Decide = dyn Fn(usize, &RawCommit) -> Fate + Send + Sync;

/// Does not tell what became of some commits, and lets others go first before the sender hears of that.
pub struct Unsure {
    engine: Arc<dyn Engine>,
    sent: AtomicUsize,
    fate: Box<Decide>,
    rivals: Option<(Bench, u64)>,
}

/// The store of a bench through an engine that decides by the number of the sending and the commit what becomes of it.
pub fn unsure(store: &Store, fate: impl Fn(usize, &RawCommit) -> Fate + Send + Sync + 'static) -> Store {
    store.wrapped(|engine| Arc::new(Unsure { engine, sent: AtomicUsize::new(0), fate: Box::new(fate), rivals: None }))
}

#[async_trait]
impl Forward for Unsure {
    fn inner(&self) -> &dyn Engine {
        &*self.engine
    }

    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        let fate = (self.fate)(self.sent.fetch_add(1, Ordering::SeqCst), commit);
        match fate {
            Fate::Overtaken => return Err(CommitError::Conflict),
            Fate::Told => return self.engine.commit(commit, deadline).await,
            // Refused for a reason or, by a loose engine, for none: that was a `Lost` then.
            Fate::Done => drop(self.engine.commit(commit, deadline).await),
            Fate::Lost => {}
        }
        if let Some((bench, rivals)) = &self.rivals {
            for _ in 0..*rivals {
                added(bench, 10).await;
            }
        }
        Err(CommitError::OutcomeUnknown { id: commit.id })
    }
}

async fn added(bench: &Bench, n: u64) {
    let before = bench.count(1).await.unwrap_or(0);
    bench
        .set(1, |c| {
            c.put(&COUNT, &(), &Json(before + n));
        })
        .await;
}

/// An update whose commit has an unknown outcome and which others overtake comes to the right end: it is done once, or
/// decided anew. Only when so many came in between that the aggregate has forgotten is the outcome unknown to the caller.
pub async fn unknown_among_rivals(bench: Bench) {
    let remembered = limits::RECENT as u64 - 1;
    let (mut ones, mut tens) = (0, 0);
    for fate in [Fate::Done, Fate::Lost] {
        for rivals in [0, 1, remembered, remembered + 1, remembered + 5] {
            let other = Bench {
                store: bench.store.clone(),
                clock: Arc::clone(&bench.clock),
                kind: bench.kind,
                folder: None,
                again: 0,
            };
            let store = bench.store.wrapped(|engine| {
                let fate = Box::new(move |nth, _: &RawCommit| if nth == 0 { fate } else { Fate::Told });
                Arc::new(Unsure { engine, sent: AtomicUsize::new(0), fate, rivals: Some((other, rivals)) })
            });
            let before = bench.count(1).await.unwrap_or(0);
            let done = store
                .update(THING.of(&1), |view| async move {
                    let before = view.get(&COUNT, &()).await?.map_or(0, |row| row.value.0);
                    let mut c = Commit::on(&view);
                    c.put(&COUNT, &(), &Json(before + 1));
                    c.append(&OWED, &1, entry(""));
                    Ok::<_, ReadError>((c, ()))
                })
                .await;
            tens += rivals;
            let counted = bench.count(1).await.unwrap() - before - rivals * 10;
            assert!(counted <= 1, "once at most");
            ones += counted;
            match done {
                Ok(()) => assert_eq!(counted, 1, "with {rivals} rivals"),
                Err(UpdateError::Commit(CommitError::OutcomeUnknown { .. })) => {
                    assert!(rivals > remembered, "{rivals}")
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(bench.count(1).await, Some(ones + tens * 10));
    assert_eq!(bench.texts(&bench.owed(1)).await.len() as u64, ones, "what an update appends is there once");
}
