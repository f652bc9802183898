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
use crate::{
    faults::upkeep_step,
    sqlite::{
        FILE,
        counter::Counter,
        lock::{self, FolderLock, INCOMING},
    },
};

/// A database that is being written.
const COPYING: &str = "store.sqlite.copying";
/// Files of SQLite beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// How the names of folders begin in which old stores are kept.
const ASIDE: &str = "store-before-";

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
    /// Whether the folder holds a store.
    holds_store: bool,
    /// Whether putting another database here was interrupted.
    interrupted: bool,
    /// A folder in which nothing is kept yet, or a part of what an interrupted one was to keep.
    begun: Option<PathBuf>,
    _lock: FolderLock,
}

impl Site {
    /// Locks the folder, which is made if it is not there.
    pub(super) fn enter(folder: &Path, existing: Existing) -> Result<Self, UpkeepError> {
        let lock = FolderLock::take_folder(folder)?;
        let (file, copying) = (folder.join(FILE), folder.join(COPYING));
        let holds_store = holds_something(&file)?;
        let interrupted = folder.join(INCOMING).exists();
        let begun = begun(folder, interrupted);
        let site = Self { folder: folder.to_owned(), file, copying, holds_store, interrupted, begun, _lock: lock };
        if holds_store && existing == Existing::Refuse && !site.is_empty()? {
            return Err(UpkeepError::HoldsStore(folder.to_owned()));
        }
        for suffix in BESIDE.into_iter().chain([""]) {
            remove(&with_suffix(&site.copying, suffix))?;
        }
        create(&site.copying)?;
        as_the_folder(&site.folder, &site.copying)?;
        as_the_folder(&site.folder, &site.folder.join(lock::FILE))?;
        upkeep_step();
        Ok(site)
    }

    /// Where the new database is to be written.
    pub(super) fn copying(&self) -> &Path {
        &self.copying
    }

    /// Takes the unfinished database away again.
    pub(super) fn leave(&self) {
        for suffix in BESIDE.into_iter().chain([""]) {
            // Why it is not finished is what is told.
            let _ = remove(&with_suffix(&self.copying, suffix));
        }
    }

    /// Gives the new database its name.
    pub(super) fn install(self, now: Timestamp) -> Result<Restored, UpkeepError> {
        // Up to here nothing of the old one was touched.
        let aside = self.aside(now).inspect_err(|_| self.leave())?;
        upkeep_step();
        let incoming = self.folder.join(INCOMING);
        fs::rename(&self.copying, &incoming).map_err(io_error(&incoming)).inspect_err(|_| {
            self.leave();
            // Only if nothing is in it, as it is unless this goes on with what was interrupted.
            let _ = aside.as_deref().map(fs::remove_dir);
        })?;
        self.exchange(&incoming, aside.as_deref())
            .map_err(|why| UpkeepError::Half { folder: self.folder.clone(), why: Box::new(why) })?;
        Ok(Restored { aside })
    }

    /// Moves the old one out of the way, and the new one in. Whatever fails here, the folder is opened by nobody until this
    /// was done again.
    fn exchange(&self, incoming: &Path, aside: Option<&Path>) -> Result<(), UpkeepError> {
        upkeep_step();
        sync_folder(&self.folder)?;
        upkeep_step();
        match aside {
            Some(aside) => self.set_aside(aside)?,
            // There is nothing in it. It goes before its log, without which nobody could say so.
            None => {
                remove(&self.file)?;
                upkeep_step();
                sync_folder(&self.folder)?;
            }
        }
        for suffix in BESIDE {
            remove(&with_suffix(&self.file, suffix))?;
            upkeep_step();
        }
        // It counts the commits of another database.
        remove(&Counter::path(&self.folder))?;
        upkeep_step();
        sync_folder(&self.folder)?;
        fs::rename(incoming, &self.file).map_err(io_error(&self.file))?;
        upkeep_step();
        sync_folder(&self.folder)
    }

    /// Makes sure of the new database, and of a folder for what is there.
    fn aside(&self, now: Timestamp) -> Result<Option<PathBuf>, UpkeepError> {
        sync(&self.copying)?;
        if self.holds_store && !self.is_empty()? { self.make_aside(now).map(Some) } else { Ok(None) }
    }

    /// Whether what is there holds nothing. What cannot be read is not nothing, nor is what is to be kept and whose log may
    /// have been moved already.
    fn is_empty(&self) -> Result<bool, UpkeepError> {
        if self.interrupted && self.begun.is_some() {
            return Ok(false);
        }
        match Standing::found_in(&self.folder) {
            Ok(standing) => Ok(standing.is_empty()),
            // Whoever looks into a database makes a file beside it.
            Err(full @ UpkeepError::Full(_)) => Err(full),
            Err(_) => Ok(false),
        }
    }

    /// A folder for what is there: a new one, or the one that was begun with.
    fn make_aside(&self, now: Timestamp) -> Result<PathBuf, UpkeepError> {
        if let Some(begun) = &self.begun {
            return Ok(begun.clone());
        }
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
        for from in kept(&self.folder) {
            let Some(to) = from.file_name().map(|name| aside.join(name)) else { continue };
            // Whoever has looked at a database whose log was moved already has made an empty one.
            if to.exists() {
                continue;
            }
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(io_error(&from))?,
            }
            upkeep_step();
        }
        sync_folder(aside)
    }
}

/// What is kept of a store, in the order in which it is moved.
fn kept(folder: &Path) -> [PathBuf; 4] {
    let file = folder.join(FILE);
    [with_suffix(&file, "-wal"), with_suffix(&file, "-journal"), Counter::path(folder), file]
}

/// The folders in which old stores are kept.
pub(super) fn asides(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    found.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(ASIDE.as_bytes())).map(|entry| entry.path())
}

/// The folder that an interrupted restore has begun to move the old store to: it has no database yet, and nothing of what
/// is still to be moved. Without one that was interrupted, a folder that is empty.
fn begun(folder: &Path, interrupted: bool) -> Option<PathBuf> {
    let is_there = |file: &Path| file.metadata().is_ok_and(|metadata| metadata.len() > 0);
    let free = |aside: &PathBuf| {
        kept(folder).iter().zip(kept(aside)).all(|(from, to)| !(is_there(from) && to.exists()))
            && !aside.join(FILE).exists()
    };
    let files = |aside: &Path| fs::read_dir(aside).map_or(usize::MAX, Iterator::count);
    let begun = asides(folder).filter(free).map(|aside| (files(&aside), aside));
    begun.filter(|(files, _)| *files == 0 || (interrupted && *files < usize::MAX)).max().map(|(_, aside)| aside)
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
