//! Every limit of the store. They are equal on all engines and are checked before any I/O, so that what works on one
//! machine works on a cluster.

use std::time::Duration;

/// Bytes of an encoded row key, without the tag of its table.
pub const KEY: usize = 512;
/// Bytes of the encoded id of an aggregate, a partition or a log. The longest name that is claimed is an e-mail
/// address: 64 bytes before the `@`, 255 behind it (RFC 5321 §4.5.3.1).
pub const NAME: usize = 384;
/// Bytes of a guarded or plain value.
pub const VALUE: usize = 64 << 10;
/// Bytes of a value in a table of [`Size::Large`](crate::Size::Large).
pub const LARGE_VALUE: usize = 8 << 20;
/// Guarded rows that one commit puts or deletes.
pub const ROWS: usize = 8192;
/// Bytes of keys and values of the guarded rows of one commit, those of large tables apart.
pub const ROW_BYTES: usize = 2 << 20;
/// Plain rows that one commit puts or deletes.
pub const EFFECTS: usize = 10_000;
/// Appends of one commit.
pub const APPENDS: usize = 20_000;
/// Bytes of an entry: its key, meta and inline body.
pub const ENTRY: usize = 64 << 10;
/// Bytes of a body that entries share.
pub const BODY: usize = 4 << 20;
/// Bytes of everything in one commit.
pub const COMMIT: usize = 16 << 20;

/// How many entries of all logs may stand in the order in which they came, by default, before they are moved to their logs:
/// so many that several of each log are moved at a time, and so few that a log is found quickly among them. While that goes
/// on there can be twice as many.
pub const FRESH: usize = 32 << 10;

/// Items of a page of rows or entries. A larger wish gets this many.
pub const PAGE_ITEMS: usize = 1000;
/// Bytes of a page; it ends with the item that reaches them.
pub const PAGE_BYTES: usize = 1 << 20;

/// How many of the last commits of an aggregate are recognised when they are sent again.
pub const RECENT: usize = 8;
/// How often [`Store::update`](crate::Store::update) tries, and a commit that expects named rows within it.
pub const UPDATE_TRIES: u32 = 8;
/// How often [`Store::update`](crate::Store::update) and claims send a commit whose outcome is unknown. They give up
/// sooner when twice the deadline has passed.
pub const UNKNOWN_TRIES: u32 = 8;
/// How often a claim is tried.
pub const CLAIM_TRIES: u32 = 5;
/// How long a claim that its owner's row does not name yet is taken for being at work.
pub const CLAIM_GRACE: Duration = Duration::from_secs(10);
/// How long a lease lasts that is not renewed.
pub const LEASE: Duration = Duration::from_secs(15);
/// When to look at a lease again that a rival may just have taken.
pub const LEASE_RETRY: Duration = Duration::from_millis(200);
/// Into how many parts jobs are divided. Each is worked off by one process at a time.
pub const JOB_SHARDS: u8 = 4;
/// Jobs of one part whose steps run at the same time.
pub const JOBS_AT_ONCE: usize = 16;
/// Bytes of the arguments of a job, as JSON.
pub const JOB_ARGS: usize = 32 << 10;
/// Bytes of the cursor that a step of a job hands on, as JSON.
pub const JOB_CURSOR: usize = 16 << 10;
/// Bytes that are kept of what made a job fail.
pub const JOB_ERROR: usize = 1 << 10;
/// How long one step of a job may take.
pub const JOB_STEP: Duration = Duration::from_secs(5 * 60);
/// Failures in a row after which a job is parked.
pub const JOB_FAILURES: u32 = 20;
/// How long a job waits after its first failure. Each further one doubles that, up to [`JOB_PAUSE_MOST`].
pub const JOB_PAUSE: Duration = Duration::from_secs(1);
/// The longest that a job waits after a failure.
pub const JOB_PAUSE_MOST: Duration = Duration::from_secs(60 * 60);
/// How often a worker looks for jobs that other processes staged or the operator revived.
pub const JOB_POLL: Duration = Duration::from_secs(5);
/// How long a job of a kind that this process does not know waits for one that does.
pub const JOB_UNKNOWN: Duration = Duration::from_secs(60);
/// How long a job that is done is remembered, so that it is not done again when its entry in the log comes twice.
pub const JOB_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an ephemeral aggregate's version is kept beyond its last row.
pub const EPHEMERAL_MEMORY: Duration = Duration::from_secs(10 * 24 * 60 * 60);
/// How long one operation may wait by default.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// When to come again after [`Unavailable`](crate::CommitError::Unavailable).
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Entries that a [`Watch`](crate::Watch) holds for a slow watcher before it loses the oldest.
pub const WATCH_BACKLOG: usize = 4096;

/// Which limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Limit {
    /// [`APPENDS`].
    #[error("a commit has at most {APPENDS} appends")]
    Appends,
    /// [`BODY`].
    #[error("a shared body has at most {BODY} bytes")]
    Body,
    /// [`COMMIT`].
    #[error("a commit has at most {COMMIT} bytes")]
    Commit,
    /// [`EFFECTS`].
    #[error("a commit has at most {EFFECTS} effects")]
    Effects,
    /// [`ENTRY`].
    #[error("an entry has at most {ENTRY} bytes")]
    Entry,
    /// [`JOB_ARGS`].
    #[error("the arguments of a job have at most {JOB_ARGS} bytes")]
    JobArgs,
    /// [`KEY`].
    #[error("a key has at most {KEY} bytes")]
    Key,
    /// [`LARGE_VALUE`].
    #[error("a large value has at most {LARGE_VALUE} bytes")]
    LargeValue,
    /// [`NAME`].
    #[error("the name of an aggregate, a partition or a log has at most {NAME} bytes")]
    Name,
    /// [`ROW_BYTES`].
    #[error("the guarded rows of a commit have at most {ROW_BYTES} bytes")]
    RowBytes,
    /// [`ROWS`].
    #[error("a commit has at most {ROWS} guarded rows")]
    Rows,
    /// [`VALUE`].
    #[error("a value has at most {VALUE} bytes")]
    Value,
}
