//! Making sure that files, and the names by which they are found, are on the disk.

use std::{
    fs::{DirBuilder, File},
    io,
    path::Path,
};

/// Waits until a file is on the disk.
pub(super) fn sync(file: &Path) -> io::Result<()> {
    File::open(file)?.sync_all()
}

/// Waits until the names in a folder are on the disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows has no such thing.
    if cfg!(unix) { sync(folder) } else { Ok(()) }
}

/// Makes a folder and those that it is in, for their owner's eyes only, as far as they are not there. Their names are on
/// the disk then.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<_> =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    missing.into_iter().try_for_each(|made| match sync_folder(folder_of(made)) {
        // Who may make something in a folder but not look into it cannot sync it either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    })
}

/// The folder that a file is in.
pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
