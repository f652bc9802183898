//! The steps of a commit, and of what goes on beside commits, at which a process can die or the disk can fail.

/// A step that comes next, or was just done.
#[cfg_attr(feature = "faults", derive(Debug))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A transaction for a group of commits was begun.
    Begun,
    /// One commit of the group was checked and written.
    Written,
    /// All of them were. Failing here, `COMMIT` fails and nothing was done.
    Committing,
    /// `COMMIT` was done. Failing here, it seems to have failed.
    Committed,
    /// The counter beside the database was written; nobody was told yet.
    Counted,
    /// Everybody was told.
    Answered,
    /// `COMMIT` failed; the database is opened anew.
    Fencing,
    /// What has expired was removed, but not committed.
    Removed,
    /// Entries were moved to their logs, but that was not committed.
    Merged,
    /// The log of SQLite is copied into the database next.
    Checkpointing,
    /// It was.
    Checkpointed,
}
