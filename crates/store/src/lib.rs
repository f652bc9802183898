//! Where Ferrule keeps everything: aggregates, plain rows and logs, written by commits, on an embedded database.
//!
//! # The model
//!
//! - An **aggregate** is one entity: a user, a pair of users, a conversation. Its *guarded* rows sort by key. It has one
//!   version, and its commits form a chain in the order of their versions.
//! - A **commit** writes guarded rows of one aggregate at most. By default it expects that nothing in the aggregate has
//!   changed since it was opened, so that rules about sets ("at most seven clients") hold whoever else is writing. For
//!   aggregates that many write to it expects only the rows it names. If that is not so any more, the answer is
//!   [`Conflict`](CommitError::Conflict): nothing happened, open it again.
//! - **Plain** rows are lists, indexes and caches beside the aggregates, written only as *effects* of commits. A plain row
//!   takes its effects from one aggregate, always the same, or always from commits without an aggregate; among those the
//!   later time wins.
//! - A **log** takes entries from any commit. An entry gets its id when it is applied, never when it is composed.
//! - Effects and appends happen in the order of the chain: before a commit does its own, its predecessor's are finished.
//! - What [`Store::commit`] acknowledged is durable and seen by every later read. Until then a reader may see an aggregate
//!   without the effects of its last commit, or with some of them.
//! - A cursor in a log never skips an acknowledged entry, and of two entries the one acknowledged before the other was begun
//!   has the smaller id, whatever clocks do. An entry may come twice, with the same key.
//! - Work on two aggregates is two commits. A unique name is a [**claim**](ClaimKind), which binds only while its owner's
//!   row names it. Work that one process at a time does has a [**lease**](LeaseKind), which stands beside its cursor. Work
//!   that is long, comes second or is for later is a [**job**](JobKind), staged in a commit and run step by step by a
//!   [worker](JobWorker).
//!
//! SQLite, the engine here, gives more than that. Components rely on the sentences above only, and try themselves on
//! [`loose`], which gives no more.
//!
//! # An example
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use store::{
//!     Aggregate, Commit, Dir, Guarded, Life, LogKind, NewEntry, Options, Place, Plain, ReadError, Size, Store, json_value,
//! };
//! use std::time::Duration;
//! use types::UserId;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Client { model: String }
//! json_value! { Client }
//!
//! // Declared once, beside the rules. The limit of clients needs them all in one aggregate.
//! const USER: Aggregate<UserId> = Aggregate::new(1, "user", Life::Kept);
//! const CLIENT: Guarded<u64, Client> = Guarded::new(1, "client", &USER, Size::Row);
//! const BY_MODEL: Plain<String, UserId, ()> = Plain::new(1, "by_model");
//! const DAY: Duration = Duration::from_secs(24 * 60 * 60);
//! const STREAM: LogKind<UserId> = LogKind::new(1, "stream", Some(DAY), DAY, DAY);
//!
//! #[derive(Debug)]
//! enum Refused { TooMany, Read(ReadError) }
//!
//! async fn add(store: &Store, user: UserId, client: u64, model: &str) -> Result<(), store::UpdateError<Refused>> {
//!     store.update(USER.of(&user), |view| async move {
//!         if view.all(&CLIENT).await.map_err(Refused::Read)?.len() >= 2 {
//!             return Err(Refused::TooMany);
//!         }
//!         let mut commit = Commit::on(&view);
//!         commit.put(&CLIENT, &client, &Client { model: model.to_owned() });
//!         commit.effect_put(&BY_MODEL, &model.to_owned(), &user, &());
//!         commit.append(&STREAM, &user, NewEntry { meta: "client-add".into(), ..NewEntry::default() });
//!         Ok((commit, ()))
//!     }).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let store = Store::open(Options::new(Place::Memory, "a.example".parse().unwrap())).unwrap();
//! let alice = UserId(uuid::Uuid::from_u128(1));
//!
//! // Three at once: whoever comes last sees the other two, and is refused.
//! let added = tokio::join!(
//!     add(&store, alice, 1, "phone"),
//!     add(&store, alice, 2, "desk"),
//!     add(&store, alice, 3, "phone"),
//! );
//! let added = [added.0.is_ok(), added.1.is_ok(), added.2.is_ok()];
//! assert_eq!(added.iter().filter(|ok| **ok).count(), 2);
//!
//! let clients = store.peek(USER.of(&alice)).range(&CLIENT, 1..=3, Dir::Forward, 10, None).await.unwrap();
//! assert_eq!(clients.rows.len(), 2);
//! let stream = store.log(&STREAM, &alice).read_after(None, 100).await.unwrap();
//! assert_eq!(stream.entries.len(), 2);
//! store.close().await;
//! # }
//! ```
//!
//! # The contract, as tests
//!
//! Each promise is a test of its name in `tests/it`, written once and run on every engine: SQLite in a file and in memory,
//! and [`loose`]; on SQLite also while entries move from where they came to their logs. An engine to come has to pass the same
//! ones.
//!
//! | Of | Tests |
//! |---|---|
//! | rows | `order_of_rows` `first_is_whole` `absent_and_expired_are_one` `ephemeral_is_forgotten` `large_value` `corrupt_is_named` |
//! | commits | `commit_all_or_nothing` `unchanged_sees_phantoms` `row_expectation_local` `versions_rise_never_repeat` `one_winner` `read_your_commit` `conflict_changes_nothing` `unavailable_changes_nothing` `repeat_of_commit_id_is_done_once` `unknown_is_resolved` `limits_typed` |
//! | effects and appends | `effects_follow_chain` `late_put_stays_dead` `appends_follow_chain` `appends_of_one_commit_in_order` `help_first` `slow_is_not_dead` `free_all_or_nothing` `larger_time_wins` |
//! | logs | `no_skip` `ack_order` `ids_are_uuid1` `double_has_same_key` `lost_is_told` `prev_is_true` `body_shared_once` `drain_meets_no_tombstones` |
//! | claims, leases, jobs | `claim_one_owner` `lease_fenced` `lease_one_holder` `lease_without_wall_clock` `job_resumes` `job_only_if_committed` `timer_fires_once_due` |
//! | folders | `refuses_newer_format` `refuses_other_domain` `opens_every_old_folder` `dump_equal_after_convert` |
//! | everything at once | `agrees_with_model` `writers_form_a_chain` |
//!
//! SQLite holds some of them trivially, since a commit is one transaction of the one thread that writes: `help_first`,
//! `slow_is_not_dead`, `free_all_or_nothing`, `double_has_same_key` (nothing comes twice but what a caller sends twice),
//! `prev_is_true` and `drain_meets_no_tombstones` (what is trimmed is gone). A store in memory ends with its process, so
//! that what is said of kills and restarts is tried on files alone.
//!
//! # How it is built
//!
//! [`Store`] and everything typed is a thin skin over one object-safe [`Engine`](engine::Engine) that speaks bytes: limits,
//! encoding, claims, leases and jobs are written once, above it. [`upkeep`] reads the file of a store beside whoever works
//! with it, for checks, backups and [`dump`]s.

mod catalogue;
mod checksum;
mod claim;
mod commit;
pub mod dump;
pub mod engine;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
#[path = "no_faults.rs"]
mod faults;
mod hybrid;
mod id;
mod jobs;
mod key;
mod lease;
pub mod limits;
mod log;
pub mod loose;
mod rows;
mod sqlite;
mod store;
mod table;
mod turns;
mod update;
pub mod upkeep;
mod value;
mod watch;

pub use catalogue::{AggregateInfo, Catalogue, Clash, Declared, GuardedInfo, KeyInfo, LogInfo, PlainInfo, ValueInfo};
pub use claim::{Claim, ClaimKind, Names, Owner, TakeError};
pub use commit::{Appended, BodyRef, Commit, Committed, NewBody, NewEntry, RowOpts};
pub use error::{CommitError, Corrupt, OpenError, ReadError, Reason, UpdateError};
pub use id::{CommitId, EntryId, EntryIdError, Version};
pub use jobs::{Failed, JobId, JobKind, JobWorker, Jobs, ParkedJob, Pass, Step, Work};
pub use key::{Key, KeyBuf, Leads, Part};
pub use lease::{Contender, Held, LeaseError, LeaseKind, Look};
pub use limits::Limit;
pub use log::{Batch, Entry, Log};
pub use rows::{Dir, Page, PlainRows, Row, Rows, View};
pub use store::{Options, Place, Store, stored_domain};
pub use table::{AggRef, Aggregate, Guarded, Life, LogKind, LogRef, Plain, Size};
pub use value::{Cell, Json, Value};
pub use watch::{Feed, Watch};
