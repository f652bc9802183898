//! Copying a database page by page, as it was at one moment, and making sure that files are on the disk.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{Progress, UpkeepError, io_error, open_flags, sqlite};
use crate::{
    faults::upkeep_step,
    sqlite::{BUSY, disk, lock},
};

/// The end of a file's name while it is being written.
const PARTIAL: &str = ".partial";
/// Pages copied between two reports.
const PAGES: i32 = 1024;

/// Copies everything that a connection's transaction shows into a file, which becomes a database that needs no other file
/// beside it. The writer of the source is not hindered: it goes on in its log.
pub(super) fn copy(from: &Connection, file: &Path, progress: Progress<'_>) -> Result<(), UpkeepError> {
    let failed = |error: rusqlite::Error| sqlite(file, &error);
    let mut to = Connection::open_with_flags(file, open_flags()).map_err(failed)?;
    to.busy_timeout(BUSY).map_err(failed)?;
    {
        let backup = Backup::new(from, &mut to).map_err(failed)?;
        loop {
            let step = backup.step(PAGES).map_err(failed)?;
            let pages = backup.progress();
            let done = u64::try_from(pages.pagecount - pages.remaining).unwrap_or(0);
            progress(done, u64::try_from(pages.pagecount).unwrap_or(0));
            upkeep_step();
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                // Nobody else should have the new file; whoever has it lets go soon.
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
    on_its_own(&to).map_err(failed)?;
    drop(to);
    upkeep_step();
    sync(file)
}

/// Lets a database be one file: a copy says of itself that there is a log beside it.
pub(super) fn on_its_own(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.pragma_update(None, "journal_mode", "delete")
}

/// A file that has its name only once it is whole.
pub(super) struct Partial {
    to: PathBuf,
    partial: PathBuf,
    held: File,
    kept: bool,
}

impl Partial {
    /// Begins it, empty.
    pub(super) fn begin(to: &Path) -> Result<Self, UpkeepError> {
        let partial = with_suffix(to, PARTIAL);
        if to.symlink_metadata().is_ok() {
            // Whoever died between its two names left it whole.
            if File::open(&partial).is_ok_and(|left| is_at(&left, to).unwrap_or(false)) {
                remove(&partial)?;
            }
            return Err(UpkeepError::Exists(to.to_owned()));
        }
        clear(&partial)?;
        // A new file, for our eyes only, and not what a link of that name leads to.
        let held = lock::options().create_new(true).open(&partial).map_err(io_error(&partial))?;
        lock_alone(&held, &partial)?;
        upkeep_step();
        Ok(Self { to: to.to_owned(), partial, held, kept: false })
    }

    /// Where it is meanwhile.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.held
    }

    /// Gives it its name, once it is on the disk.
    pub(super) fn keep(mut self) -> Result<(), UpkeepError> {
        sync(&self.partial)?;
        upkeep_step();
        publish(&self.partial, &self.to)?;
        self.kept = true;
        upkeep_step();
        sync_folder(disk::folder_of(&self.to))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // It is of no use; why, is told by whoever drops it.
            let _ = remove(&self.partial);
        }
    }
}

/// Takes away what somebody left who was interrupted. Whoever is at it has it locked.
fn clear(partial: &Path) -> Result<(), UpkeepError> {
    match partial.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(io_error(partial)(source)),
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(UpkeepError::Exists(partial.to_owned())),
    }
    let left = File::open(partial).map_err(io_error(partial))?;
    lock_alone(&left, partial)?;
    remove(partial)
}

/// Locks a file, which is still the one of that name then.
fn lock_alone(file: &File, path: &Path) -> Result<(), UpkeepError> {
    match file.try_lock() {
        Ok(()) if is_at(file, path).map_err(io_error(path))? => Ok(()),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(UpkeepError::BeingWritten(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(io_error(path)(source)),
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let ours = file.metadata()?;
    Ok(path.symlink_metadata().is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Gives a file its name, unless there is one of that name by now.
fn publish(partial: &Path, to: &Path) -> Result<(), UpkeepError> {
    match std::fs::hard_link(partial, to) {
        Ok(()) => {
            upkeep_step();
            remove(partial)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(UpkeepError::Exists(to.to_owned())),
        // A file system without such links, as of many a removable disk.
        Err(_) if to.symlink_metadata().is_ok() => Err(UpkeepError::Exists(to.to_owned())),
        Err(_) => std::fs::rename(partial, to).map_err(io_error(to)),
    }
}

/// Makes a file for its owner's eyes only.
pub(super) fn create(file: &Path) -> Result<File, UpkeepError> {
    lock::options().open(file).map_err(io_error(file))
}

/// Waits until a file is on the disk.
pub(super) fn sync(file: &Path) -> Result<(), UpkeepError> {
    disk::sync(file).map_err(io_error(file))
}

/// Waits until the names in a folder are on the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), UpkeepError> {
    disk::sync_folder(folder).map_err(io_error(folder))
}

/// The file of that name with something behind it.
pub(super) fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes a file, if it is there.
pub(super) fn remove(file: &Path) -> Result<(), UpkeepError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(io_error(file)),
    }
}
