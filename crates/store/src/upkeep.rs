//! Looking after a store: is it whole, what is in it, backups of it, and its way to another engine or machine.
//!
//! [`Standing`] reads a store's file and changes nothing. It needs no leave of a process that works with the store, and does
//! not hinder it: SQLite shows it what was stored when it was opened. [`restore`] and [`load`] put a database into a data
//! folder, and need it for themselves.
//!
//! All of it blocks.

pub use crate::sqlite::upkeep::{
    Counts, Existing, Loaded, LogStats, Problem, Progress, Restored, Standing, Stats, TableStats, UpkeepError, Verdict,
    load, restore,
};
