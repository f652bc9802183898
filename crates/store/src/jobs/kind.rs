//! Kinds of jobs, and what runs their steps.

use std::{collections::BTreeMap, error::Error, fmt, future::Future, marker::PhantomData, pin::Pin, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use types::Timestamp;

use super::tables::{STAGED, Staged};
use crate::{
    Commit, CommitError, NewBody, NewEntry,
    limits::{self, Limit},
};

/// A kind of job, with arguments `A` and a cursor `C` that its steps hand on.
///
/// Both are kept as JSON and evolve by optional fields. The name is never used again for something else.
pub struct JobKind<A, C = ()> {
    name: &'static str,
    types: PhantomData<fn() -> (A, C)>,
}

impl<A, C> JobKind<A, C> {
    /// Declares a kind of job.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<A, C> Clone for JobKind<A, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, C> Copy for JobKind<A, C> {}

impl<A, C> fmt::Debug for JobKind<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}", self.name)
    }
}

impl Commit {
    /// Stages a job: it will be run if this commit is done, at once or not before a moment.
    pub fn job<A: Serialize, C>(&mut self, kind: &JobKind<A, C>, args: &A, not_before: Option<Timestamp>) {
        let args = serde_json::to_value(args).expect("types that are stored have text for the keys of their maps");
        let staged = Staged { kind: kind.name.to_owned(), args, at: not_before.map(Timestamp::micros) };
        let body = serde_json::to_vec(&staged).expect("a value of JSON has a text");
        if body.len() > limits::JOB_ARGS {
            self.spoil(CommitError::TooLarge { what: Limit::JobArgs });
            return;
        }
        let shard = u8::try_from(crc32c::crc32c(&body) % u32::from(limits::JOB_SHARDS)).unwrap_or_default();
        let entry = NewEntry { key: None, meta: Bytes::new(), body: NewBody::Inline(body.into()) };
        self.append(&STAGED, &shard, entry);
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<C> {
    /// The job is done.
    Done,
    /// There is more: go on from here.
    Next(C),
}

/// Why a step failed, for the operator.
#[derive(Debug)]
pub struct Failed(pub(super) String);

impl Failed {
    /// In one's own words.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Any error will do, so that a step can use `?`.
impl<E: Error> From<E> for Failed {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        Self(text)
    }
}

/// What runs the steps of a kind of job.
pub trait Work: Send + Sync + 'static {
    /// The arguments of the job.
    type Args: DeserializeOwned + Send;
    /// What a step hands on to the next.
    type Cursor: Serialize + DeserializeOwned + Send;

    /// Runs one step: from the beginning without a cursor, or from where the one before ended. It may be dropped at any
    /// await when the lease is lost or the process ends, and may have been run before: it finds its work done then.
    ///
    /// # Errors
    /// [`Failed`]: the same step will be run again later.
    fn step(
        &self,
        args: Self::Args,
        cursor: Option<Self::Cursor>,
    ) -> impl Future<Output = Result<Step<Self::Cursor>, Failed>> + Send;
}

/// The kinds of jobs that a process can run.
#[derive(Clone, Default)]
pub struct Jobs(BTreeMap<&'static str, Arc<dyn AnyWork>>);

impl Jobs {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// And this kind.
    #[must_use]
    pub fn with<W: Work>(mut self, kind: &JobKind<W::Args, W::Cursor>, work: W) -> Self {
        self.0.insert(kind.name, Arc::new(work));
        self
    }

    pub(super) fn work(&self, kind: &str) -> Option<Arc<dyn AnyWork>> {
        self.0.get(kind).cloned()
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

type Stepping<'a> = Pin<Box<dyn Future<Output = Result<Step<Json>, Failed>> + Send + 'a>>;

/// A [`Work`] of whatever types, in JSON.
pub(super) trait AnyWork: Send + Sync {
    fn step(&self, args: Json, cursor: Option<Json>) -> Stepping<'_>;
}

impl<W: Work> AnyWork for W {
    fn step(&self, args: Json, cursor: Option<Json>) -> Stepping<'_> {
        Box::pin(async move {
            let args = serde_json::from_value(args)?;
            let cursor = cursor.map(serde_json::from_value).transpose()?;
            Ok(match Work::step(self, args, cursor).await? {
                Step::Done => Step::Done,
                Step::Next(cursor) => Step::Next(serde_json::to_value(cursor)?),
            })
        })
    }
}
