//! A store that fails when it is told to, between any two commits or in the middle of one.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use store::{
    CommitError, Committed, ReadError,
    engine::{Engine, Forward, RawCommit, RowPage, RowQuery},
};
use tokio::sync::Notify;

/// Passes everything on to another engine until it is told to stop.
pub struct Faulty {
    inner: Arc<dyn Engine>,
    state: Mutex<State>,
    short_pages: AtomicBool,
    hold: Mutex<Option<Hold>>,
}

/// A commit that is done and whose answer is held back.
#[derive(Clone)]
pub struct Hold {
    kind: &'static str,
    done: Arc<Notify>,
    answer: Arc<Notify>,
}

impl Hold {
    /// Returns once the commit is done.
    pub async fn done(&self) {
        self.done.notified().await;
    }

    /// Lets the answer go.
    pub fn release(&self) {
        self.answer.notify_one();
    }
}

/// What became of a commit of which nobody tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It was done.
    Done,
    /// It never reached the store.
    Lost,
}

#[derive(Clone, Copy)]
enum State {
    /// No commit is done any more.
    Dead,
    /// Dead after so many commits of any kind.
    DiesAt(usize),
    /// Dead after the next commit on that kind of aggregate.
    DiesAfter(&'static str),
    /// Dead before the next commit on that kind of aggregate.
    DiesBefore(&'static str),
    Fine,
    /// Commits on that kind of aggregate are not done, all others are.
    Refuses(&'static str),
    /// Nobody tells what became of commits on that kind of aggregate: of so many of them, then all is fine.
    Unsure(&'static str, Truth, usize),
}

impl Faulty {
    pub fn over(inner: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            state: Mutex::new(State::Fine),
            short_pages: AtomicBool::new(false),
            hold: Mutex::default(),
        })
    }

    /// Does the next commit on that kind of aggregate and none after it, as if the process had been killed then.
    pub fn die_after(&self, kind: &'static str) {
        self.set(State::DiesAfter(kind));
    }

    /// Does so many commits, of whatever kind, and none after them.
    pub fn die_at(&self, commits: usize) {
        self.set(State::DiesAt(commits));
    }

    /// Does neither the next commit on that kind of aggregate nor any after it.
    pub fn die_before(&self, kind: &'static str) {
        self.set(State::DiesBefore(kind));
    }

    /// Does no commit on that kind of aggregate, but all others.
    pub fn refuse(&self, kind: &'static str) {
        self.set(State::Refuses(kind));
    }

    /// Answers to each commit on that kind of aggregate that its outcome is unknown.
    pub fn unsure(&self, kind: &'static str, truth: Truth) {
        self.set(State::Unsure(kind, truth, usize::MAX));
    }

    /// The same for the next one only.
    pub fn unsure_once(&self, kind: &'static str, truth: Truth) {
        self.set(State::Unsure(kind, truth, 1));
    }

    /// From now on a page has two rows at most, as many as were asked for.
    pub fn shorten_pages(&self) {
        self.short_pages.store(true, Ordering::Relaxed);
    }

    /// Holds back the answer to the next commit on that kind of aggregate.
    pub fn hold(&self, kind: &'static str) -> Hold {
        let hold = Hold { kind, done: Arc::default(), answer: Arc::default() };
        *self.hold.lock().unwrap() = Some(hold.clone());
        hold
    }

    /// Works again.
    pub fn heal(&self) {
        self.set(State::Fine);
    }

    /// Whether something that was to fail once has not failed yet.
    pub fn pending(&self) -> bool {
        !matches!(*self.state.lock().unwrap(), State::Fine)
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    /// What is to become of this commit; moves on where that is decided beforehand.
    fn next(&self, kind: Option<&'static str>) -> State {
        let mut state = self.state.lock().unwrap();
        let now = *state;
        let (this, then) = match now {
            State::Dead => (State::Dead, State::Dead),
            State::DiesAt(0) => (State::Dead, State::Dead),
            State::DiesAt(commits) => (State::Fine, State::DiesAt(commits - 1)),
            State::DiesBefore(last) if kind == Some(last) => (State::Dead, State::Dead),
            State::DiesAfter(one) | State::Refuses(one) if kind == Some(one) => (now, now),
            State::Unsure(one, truth, times) if kind == Some(one) => {
                (now, if times > 1 { State::Unsure(one, truth, times - 1) } else { State::Fine })
            }
            _ => (State::Fine, now),
        };
        *state = then;
        this
    }
}

#[async_trait]
impl Forward for Faulty {
    fn inner(&self) -> &dyn Engine {
        &*self.inner
    }

    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        if self.short_pages.load(Ordering::Relaxed) {
            return self.inner.rows(&RowQuery { items: query.items.min(2), ..query.clone() }).await;
        }
        self.inner.rows(query).await
    }

    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        let unknown = Err(CommitError::OutcomeUnknown { id: commit.id });
        match self.next(commit.aggregate.as_ref().map(|aggregate| aggregate.kind)) {
            State::Fine => {
                let done = self.inner.commit(commit, deadline).await;
                let kind = commit.aggregate.as_ref().map(|aggregate| aggregate.kind);
                let held = self.hold.lock().unwrap().take_if(|hold| done.is_ok() && kind == Some(hold.kind));
                if let Some(hold) = held {
                    hold.done.notify_one();
                    hold.answer.notified().await;
                }
                done
            }
            State::Dead | State::DiesAt(_) | State::DiesBefore(_) | State::Refuses(_) => {
                Err(CommitError::Unavailable { retry_after: Duration::from_secs(2) })
            }
            State::DiesAfter(_) => {
                let done = self.inner.commit(commit, deadline).await;
                if done.is_ok() {
                    self.set(State::Dead);
                }
                done
            }
            State::Unsure(_, Truth::Done, _) => {
                // A loose store may have to be asked more than once.
                for _ in 0..50 {
                    if self.inner.commit(commit, deadline).await.is_ok() {
                        break;
                    }
                }
                unknown
            }
            State::Unsure(_, Truth::Lost, _) => unknown,
        }
    }
}
