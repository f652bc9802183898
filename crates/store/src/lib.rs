//! Storage.

mod checksum;
mod claim;
mod commit;
pub mod engine;
mod error;
mod hybrid;
mod id;
mod key;
pub mod limits;
mod log;
mod rows;
mod sqlite;
mod store;
mod table;
mod value;
mod watch;

pub use claim::{Claim, ClaimKind, Names, Owner, TakeError};
pub use commit::{Appended, BodyRef, Commit, Committed, NewBody, NewEntry, RowOpts};
pub use error::{CommitError, Corrupt, OpenError, ReadError, Reason, UpdateError};
pub use id::{CommitId, EntryId, EntryIdError, Version};
pub use key::{Key, KeyBuf, Leads};
pub use limits::Limit;
pub use log::{Batch, Entry, Log};
pub use rows::{Dir, Page, PlainRows, Row, Rows, View};
pub use store::{Options, Place, Store};
pub use table::{AggRef, Aggregate, Guarded, Life, LogKind, LogRef, Plain, Size};
pub use value::{Cell, Json, Value};
pub use watch::{Feed, Watch};
