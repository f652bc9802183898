//! Looks at a backend's federation and says what keeps others away, and what is to be done: `ferrule doctor`.
//!
//! [`CHECKS`] is the list of checks, as data (`admin-and-deploy.md` §9). [`examine()`] gathers facts, by reading files and
//! by asking name servers, listeners and partners, and holds them against the checks; the [`Report`] is text for people
//! or JSON for machines. What is gathered stands in `facts`, what it means in `checks`: plain functions over plain facts.
//!
//! Nothing that is secret gets into a report, and nothing is changed anywhere.

mod catalogue;
mod checks;
mod documentation;
mod examine;
mod facts;
pub mod limits;
mod outcome;
mod report;

pub use catalogue::{CHECKS, Check, Group};
pub use documentation::documentation;
pub use examine::{Progress, Subject, examine};
pub use outcome::{Finding, Verdict};
pub use report::Report;
