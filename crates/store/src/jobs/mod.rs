//! Jobs: work that is too long for one request, comes second to another commit, or is to happen later.
//!
//! A job is staged in a commit and so exists if, and only if, the commit was done. A [`JobWorker`] runs its steps one after
//! another, each with the cursor that the one before handed on, until it is done; after a failure it tries again, later
//! each time, and after [`JOB_FAILURES`](crate::limits::JOB_FAILURES) in a row parks the job for the operator to see.
//!
//! Whoever runs a step may be killed in the middle of it or before its end is written down: **a step is repeated then**, so
//! it has to find its work done and go on. It is never run by two processes that are both up to date, but a process that
//! was stopped may still be in a step that another is repeating.
//!
//! When a second aggregate must follow a first one, the first one's commit stages a job for ten seconds later, and the same
//! step runs inline right after the commit. If that comes to an end the job will find nothing to do; it is the net.
//!
//! # How it works
//!
//! Jobs go to one of [`JOB_SHARDS`](crate::limits::JOB_SHARDS) logs. Who holds the lease of a shard takes entries from its
//! log into plain rows: what the job is, by its id, and when it is next due, by time. Moving the cursor, writing the rows
//! and renewing the lease are one commit, so a holder who was stopped and has lost the lease writes nothing any more.

mod kind;
mod parked;
mod rules;
mod shard;
mod tables;
mod worker;

pub use kind::{Failed, JobKind, Jobs, Step, Work};
pub use parked::{JobId, ParkedJob};
pub(crate) use tables::declare;
pub use worker::{JobWorker, Pass};
