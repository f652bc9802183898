//! What a process holds: open files and memory.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

/// How much more memory than before a process may hold after trouble, in bytes.
const MORE_MEMORY: usize = 10 * 1024 * 1024;

/// How long a process may take to give back what it took.
const PATIENCE: Duration = Duration::from_secs(30);

/// The size of a page of memory, as `statm` counts.
const PAGE: usize = 4096;

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Open files and sockets.
    pub files: usize,
    /// Resident memory in bytes.
    pub memory: usize,
}

/// What a process holds now.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn usage_of(pid: u32) -> Result<Resources> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).context("the open files of the process")?.count();
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).context("the memory of the process")?;
    let pages: usize = statm.split_whitespace().nth(1).context("statm")?.parse().context("statm")?;
    Ok(Resources { files, memory: pages * PAGE })
}

impl Resources {
    /// Waits until the process holds no more files than it did at this moment, and holds it to no more memory than 10
    /// MiB above.
    ///
    /// # Errors
    /// It keeps more.
    pub fn given_back(self, pid: u32) -> Result<()> {
        let start = Instant::now();
        loop {
            let now = usage_of(pid)?;
            let files_back = now.files <= self.files;
            if files_back && now.memory <= self.memory + MORE_MEMORY {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "the process holds {now:?}, before the trouble it was {self:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
