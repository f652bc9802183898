//! One process writes a data folder.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use super::disk;
use crate::OpenError;

/// The file that is locked.
pub(super) const FILE: &str = "lock";
/// A database that is to take the place of the one in the folder. While it is there, the folder is nobody's: part of the
/// old one may be gone.
pub(super) const INCOMING: &str = "store.sqlite.incoming";

/// The lock on a data folder, held as long as this lives. The operating system lets it go when the process ends,
/// however it ends.
pub(super) struct FolderLock(#[expect(dead_code, reason = "held, not used")] File);

impl FolderLock {
    /// Makes the folder and `database` in it if they are not there, for their owner's eyes only, and locks the folder.
    /// What is there keeps its permissions: the operator may have granted them.
    pub(super) fn take(folder: &Path, database: &Path) -> Result<Self, OpenError> {
        let this = Self::take_folder(folder)?;
        if folder.join(INCOMING).exists() {
            return Err(OpenError::HalfRestored { folder: folder.to_owned() });
        }
        // An empty file is an empty database to SQLite, which gives its other files the permissions of this one.
        options().open(database).map_err(|source| OpenError::Io { folder: folder.to_owned(), source })?;
        Ok(this)
    }

    /// The same without a database.
    pub(super) fn take_folder(folder: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { folder: folder.to_owned(), source };
        disk::make_folder(folder).map_err(io)?;
        let file = options().open(folder.join(FILE)).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

/// How files of a store are made: for their owner's eyes only.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
