//! One process writes a data folder.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    path::Path,
};

use crate::OpenError;

/// The lock on a data folder, held as long as this lives. The operating system lets it go when the process ends,
/// however it ends.
pub(super) struct FolderLock(#[expect(dead_code, reason = "held, not used")] File);

impl FolderLock {
    /// Makes the folder and `database` in it if they are not there, for their owner's eyes only, and locks the folder.
    /// What is there keeps its permissions: the operator may have granted them.
    pub(super) fn take(folder: &Path, database: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { folder: folder.to_owned(), source };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(io)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(folder.join("lock")).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        // An empty file is an empty database to SQLite, which gives its other files the permissions of this one.
        options.open(database).map_err(io)?;
        Ok(Self(file))
    }
}
