//! What is stored of jobs, all by shard. Tags are the store's own.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use types::Timestamp;
use uuid::Uuid;

use crate::{Aggregate, Catalogue, Guarded, LeaseKind, Life, LogKind, Plain, Size, json_value, table::OWN_TAGS};

/// A shard: who works on it, and how far its log was taken in.
pub(super) const SHARD: Aggregate<u8> = Aggregate::own(OWN_TAGS + 1, "jobs", Life::Kept);

/// Who works on a shard.
pub(super) const LEASE: LeaseKind<u8> = LeaseKind::own(OWN_TAGS + 1, "jobs-lease", &SHARD);

/// The last entry that was taken in. Guarded in the shard, because only the holder of the lease moves it.
pub(super) const CURSOR: Guarded<(), Cursor> = Guarded::own(OWN_TAGS + 2, "jobs-cursor", &SHARD, Size::Row);

/// Parked jobs that were revived and have not ended since. Guarded in the shard, because of two who revive one at once, one
/// does: the rows below may show the state before.
pub(super) const REVIVED: Guarded<Vec<u8>, ()> = Guarded::own(OWN_TAGS + 3, "jobs-revived", &SHARD, Size::Row);

/// Where commits put jobs. Entries go once they are taken in.
pub(super) const STAGED: LogKind<u8> =
    LogKind::own(OWN_TAGS + 1, "jobs-staged", None, Duration::ZERO, Duration::from_secs(600));

/// Jobs by id, the key of their entry. Effects of the shard's commits, as the two below.
pub(super) const JOB: Plain<u8, Vec<u8>, JobRow> = Plain::own(OWN_TAGS + 1, "job");

/// When jobs are due, by time and id.
pub(super) const DUE: Plain<u8, (Timestamp, Vec<u8>), ()> = Plain::own(OWN_TAGS + 2, "job-due");

/// Jobs that failed too often, by id.
pub(super) const PARKED: Plain<u8, Vec<u8>, ()> = Plain::own(OWN_TAGS + 3, "job-parked");

/// All of them.
pub(crate) fn declare(tables: Catalogue) -> Catalogue {
    tables.with(&SHARD).with(&LEASE).with(&CURSOR).with(&REVIVED).with(&STAGED).with(&JOB).with(&DUE).with(&PARKED)
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) entry: Uuid,
}

/// A job in the body of its entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Staged {
    pub(super) kind: String,
    pub(super) args: Json,
    /// Not before, microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<i64>,
}

/// A job that was taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct JobRow {
    pub(super) kind: String,
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(super) args: Json,
    /// What the last step handed on, in a list of one: it may itself be `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<[Json; 1]>,
    pub(super) state: State,
    /// Failures since the last step that came to an end.
    #[serde(default)]
    pub(super) failures: u32,
    /// What the last failure was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// When it was taken in, microseconds since 1970.
    pub(super) since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// To be run when it is due.
    Waiting,
    /// Failed too often.
    Parked,
    /// Remembered for a while.
    Done,
}

json_value! { Cursor, JobRow }
