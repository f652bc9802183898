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
    /// Makes the folder if it is not there, and locks it.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { folder: folder.to_owned(), source };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(io)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join("lock")).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}
