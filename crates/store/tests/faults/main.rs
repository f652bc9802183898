//! What a store survives: being killed at any instant and at every step, a disk that is full, a clock that jumps, a process
//! that stands still, and a crowd. All on real files, with processes of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;
mod crowd;
mod damage;
mod disk;
mod kills;
mod ledger;
mod order;
mod steps;
mod stop;
mod trace;
mod upkeeps;

/// More when there is time for it.
pub fn rounds(few: usize) -> usize {
    if std::env::var_os("FERRULE_TEST_LONG").is_some() { few * 20 } else { few }
}
