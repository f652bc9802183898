//! Putting a new database in the place of what is in a data folder.
//!
//! The new one is written under a name of its own, and gets another when it is whole. While it has that, nobody opens the
//! folder for work ([`HalfRestored`](crate::OpenError::HalfRestored)): so whatever moment the machine dies at, nobody works
//! with half of the old files, or with a log of SQLite that belongs to another database.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use types::Timestamp;

use super::{
    Restored, Standing, UpkeepError,
    copy::{create, remove, sync, sync_folder, with_suffix},
    holds_something, io_error, open_flags,
};
use crate::sqlite::{
    BUSY, FILE,
    counter::Counter,
    lock::{self, FolderLock, INCOMING},
};

/// A database that is being written.
const COPYING: &str = "store.sqlite.copying";
/// Files of SQLite beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

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
        let incoming = self.folder.join(INCOMING);
        fs::rename(&self.copying, &incoming).map_err(io_error(&incoming))?;
        sync_folder(&self.folder)?;
        let aside = if self.holds_store && !self.is_empty() { Some(self.set_aside(now)?) } else { None };
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

    fn set_aside(&self, now: Timestamp) -> Result<PathBuf, UpkeepError> {
        self.fold();
        let aside = self.folder.join(format!("store-before-{}", now.seconds()));
        // A second time within one second there is something of that name.
        let aside = (1..).map(|n| if n == 1 { aside.clone() } else { with_suffix(&aside, &format!("-{n}")) });
        let aside =
            aside.take(1000).find(|aside| aside.symlink_metadata().is_err()).unwrap_or_else(|| self.folder.clone());
        make_folder(&aside).map_err(io_error(&aside))?;
        as_the_folder(&self.folder, &aside)?;
        for suffix in ["", "-wal", "-journal"] {
            let from = with_suffix(&self.file, suffix);
            let to = with_suffix(&aside.join(FILE), suffix);
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(io_error(&from))?,
            }
        }
        let counter = Counter::path(&self.folder);
        match fs::rename(&counter, Counter::path(&aside)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(io_error(&counter))?,
        }
        sync_folder(&aside)?;
        Ok(aside)
    }

    /// Takes the log of the old database into it, so that it is one file. One that is damaged is moved as it is.
    fn fold(&self) {
        let folded = Connection::open_with_flags(&self.file, open_flags()).and_then(|conn| {
            conn.busy_timeout(BUSY)?;
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        });
        if let Err(error) = folded {
            tracing::warn!(%error, "the old store keeps its log in a file of its own");
        }
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
