//! Putting a new database in the place of what is in a data folder.
//!
//! The new one is written under a name of its own, and gets another when it is whole. While it has that, nobody opens the
//! folder for work ([`HalfRestored`](crate::OpenError::HalfRestored)): so whatever moment the machine dies at, nobody works
//! with half of the old files, or with a log of SQLite that belongs to another database.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use types::Timestamp;

use super::{
    Restored, Standing, UpkeepError,
    copy::{create, remove, sync, sync_folder, with_suffix},
    holds_something, io_error,
};
use crate::sqlite::{
    FILE,
    counter::Counter,
    lock::{self, FolderLock, INCOMING},
};

/// A database that is being written.
const COPYING: &str = "store.sqlite.copying";
/// Files of SQLite beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// How the names of folders begin in which old stores are kept.
pub(super) const ASIDE: &str = "store-before-";

/// What becomes of a store that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is kept in a folder beside, and the new one takes its place.
    KeepAside,
    /// Nothing is done.
    Refuse,
}

/// A data folder that is ours, and the file that is to become its database.
pub(super) struct Site {
    folder: PathBuf,
    file: PathBuf,
    copying: PathBuf,
    /// Whether the folder holds a store with something in it.
    holds_store: bool,
    _lock: FolderLock,
}

impl Site {
    /// Locks the folder, which is made if it is not there.
    pub(super) fn enter(folder: &Path, existing: Existing) -> Result<Self, UpkeepError> {
        let lock = FolderLock::take_folder(folder)?;
        let (file, copying) = (folder.join(FILE), folder.join(COPYING));
        let holds_store = holds_something(&file)?;
        let site = Self { folder: folder.to_owned(), file, copying, holds_store, _lock: lock };
        if holds_store && existing == Existing::Refuse && !site.is_empty() {
            return Err(UpkeepError::HoldsStore(folder.to_owned()));
        }
        for suffix in BESIDE.into_iter().chain([""]) {
            remove(&with_suffix(&site.copying, suffix))?;
        }
        create(&site.copying)?;
        as_the_folder(&site.folder, &site.copying)?;
        as_the_folder(&site.folder, &site.folder.join(lock::FILE))?;
        Ok(site)
    }

    /// Where the new database is to be written.
    pub(super) fn copying(&self) -> &Path {
        &self.copying
    }

    /// Takes the unfinished database away again.
    pub(super) fn leave(self) {
        for suffix in BESIDE.into_iter().chain([""]) {
            // Why it is not finished is what is told.
            let _ = remove(&with_suffix(&self.copying, suffix));
        }
    }

    /// Gives the new database its name.
    pub(super) fn install(self, now: Timestamp) -> Result<Restored, UpkeepError> {
        sync(&self.copying)?;
        let aside = if self.holds_store && !self.is_empty() { Some(self.make_aside(now)?) } else { None };
        let incoming = self.folder.join(INCOMING);
        fs::rename(&self.copying, &incoming).map_err(io_error(&incoming))?;
        sync_folder(&self.folder)?;
        if let Some(aside) = &aside {
            self.set_aside(aside)?;
        }
        for suffix in BESIDE {
            remove(&with_suffix(&self.file, suffix))?;
        }
        // It counts the commits of another database.
        remove(&Counter::path(&self.folder))?;
        sync_folder(&self.folder)?;
        fs::rename(&incoming, &self.file).map_err(io_error(&self.file))?;
        sync_folder(&self.folder)?;
        Ok(Restored { aside })
    }

    /// Whether what is there holds nothing. What cannot be read is not nothing.
    fn is_empty(&self) -> bool {
        Standing::in_folder(&self.folder).is_ok_and(|standing| standing.is_empty())
    }

    /// A new folder for what is there.
    fn make_aside(&self, now: Timestamp) -> Result<PathBuf, UpkeepError> {
        let first = self.folder.join(format!("{ASIDE}{}", now.seconds()));
        // A second time within one second there is something of that name.
        for n in 1_u64.. {
            let aside = if n == 1 { first.clone() } else { with_suffix(&first, &format!("-{n}")) };
            match make_folder(&aside) {
                Ok(()) => {
                    as_the_folder(&self.folder, &aside)?;
                    return Ok(aside);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(io_error(&aside)(source)),
            }
        }
        Err(io_error(&first)(io::ErrorKind::AlreadyExists.into()))
    }

    /// Moves what is there as it is: a log that is damaged may be all that can be learnt from. The database goes last, so
    /// that whoever does this again after an interruption still finds something to keep.
    fn set_aside(&self, aside: &Path) -> Result<(), UpkeepError> {
        let beside = ["-wal", "-journal"].map(|suffix| with_suffix(&self.file, suffix));
        for from in beside.into_iter().chain([Counter::path(&self.folder), self.file.clone()]) {
            let Some(name) = from.file_name() else { continue };
            match fs::rename(&from, aside.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(io_error(&from))?,
            }
        }
        sync_folder(aside)
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Gives a file to whom the folder belongs: root may put back what another user works with.
#[cfg(unix)]
fn as_the_folder(folder: &Path, file: &Path) -> Result<(), UpkeepError> {
    use std::os::unix::fs::{MetadataExt, chown};

    let (owner, ours) = (fs::metadata(folder).map_err(io_error(folder))?, fs::metadata(file).map_err(io_error(file))?);
    if owner.uid() != ours.uid() {
        chown(file, Some(owner.uid()), Some(owner.gid())).map_err(io_error(file))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn as_the_folder(_: &Path, _: &Path) -> Result<(), UpkeepError> {
    Ok(())
}
