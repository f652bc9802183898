//! Files with certificates and keys, written so that nobody ever reads half of one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever the process's umask lets.
    Public,
    /// The own user alone (0600).
    Secret,
}

/// Writes a file that is not there yet. It appears with all of its contents or not at all, also after a crash.
///
/// # Errors
/// `AlreadyExists` where there is anything of that name, which is left as it is; whatever the file system says otherwise.
pub fn create(path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    let aside = Aside::write(path, contents, access)?;
    // Unlike a rename, a link never replaces what is there.
    fs::hard_link(&aside.0, path)?;
    drop(aside);
    sync_folder(path)
}

/// Writes a file in the place of the one that is there, if any. Whoever opens it finds the old contents or the new ones.
///
/// # Errors
/// Whatever the file system says; the old file is as it was then.
pub fn replace(path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    let aside = Aside::write(path, contents, access)?;
    fs::rename(&aside.0, path)?;
    std::mem::forget(aside);
    sync_folder(path)
}

/// A file beside the one that it shall become. It goes if it does not.
struct Aside(PathBuf);

impl Aside {
    fn write(path: &Path, contents: &[u8], access: Access) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let aside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
        // Of a process that was killed.
        if let Err(error) = fs::remove_file(&aside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = options(access).open(&aside)?;
        let aside = Self(aside);
        file.write_all(contents)?;
        file.sync_all()?;
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn options(access: Access) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if access == Access::Secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = access;
    options
}

/// Makes a new name last. Not every system lets folders be opened; there the name may be lost with the power.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder) {
        Ok(folder) if cfg!(unix) => folder.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_once_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        create(&path, b"one", Access::Secret).unwrap();
        assert_eq!(create(&path, b"two", Access::Secret).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let open = fs::read_to_string(&path).unwrap();
        replace(&path, b"three", Access::Secret).unwrap();
        assert_eq!((open.as_str(), fs::read(&path).unwrap()), ("one", b"three".to_vec()));
        replace(&folder.path().join("new.pem"), b"x", Access::Public).unwrap();
        assert!(replace(&folder.path().join("no/such/folder"), b"x", Access::Public).is_err());
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 2, "nothing stays behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
        }
    }
}
