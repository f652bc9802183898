//! Looking after a database: reading all of it beside whoever writes, and putting another one in its place.

mod backup;
mod check;
mod copy;
mod dump;
mod install;
mod load;
mod salvage;
mod stats;

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use types::Domain;

use super::{
    FILE,
    counter::{Count, Counter},
    lock, reading,
    schema::{self, Meta, Refusal},
};
use crate::{Corrupt, OpenError, Version, dump::DumpError, key};

pub use backup::{Restored, restore};
pub use check::{Counts, Problem, Verdict};
pub use install::Existing;
pub use load::{Loaded, load};
pub use stats::{LogStats, Stats, TableStats};

/// Hears how much is done of how much. The unit is that of the thing.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// A store's file, open for reading: in a data folder, beside a process that works with it, or a backup. It shows what was
/// stored when it was opened; what is written meanwhile waits in SQLite's log.
pub struct Standing {
    conn: Connection,
    file: PathBuf,
    meta: Meta,
    /// What the counter beside it says; read before it was opened, so that it is not ahead of a process at work.
    counted: Option<Count>,
}

/// Something could not be done with a store or its backup.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// What is stored is damaged.
    #[error("{} is damaged ({problems} {}): {first}", .file.display(), if *.problems == 1 { "problem" } else { "problems" })]
    Damaged {
        /// The file.
        file: PathBuf,
        /// How many problems there are.
        problems: u64,
        /// The first of them.
        first: Problem,
    },
    /// A dump cannot be read or written.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// There is a file of that name: nothing is overwritten.
    #[error("{} is there already; nothing is overwritten", .0.display())]
    Exists(PathBuf),
    /// Another process is writing that file.
    #[error("another process is writing {}", .0.display())]
    BeingWritten(PathBuf),
    /// The disk is full. What was begun was taken away again.
    #[error("the disk has no room left for {}: nothing was made, and what was there is as it was", .0.display())]
    Full(PathBuf),
    /// Something failed after the old store began to be moved: nobody opens the folder until this was done again.
    #[error(
        "the store in {} is half replaced, and nothing of it is lost: do it again once this is mended: {why}",
        .folder.display()
    )]
    Half {
        /// The data folder.
        folder: PathBuf,
        /// What failed.
        why: Box<UpkeepError>,
    },
    /// The data folder holds a store that is not to be replaced.
    #[error("the data folder {} holds a store already", .0.display())]
    HoldsStore(PathBuf),
    /// There is no store.
    #[error("there is no store at {}", .0.display())]
    NoStore(PathBuf),
    /// A file cannot be made, read or written.
    #[error("{} cannot be used", .file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite cannot read or write.
    #[error("{}: SQLite says: {reason}", .file.display())]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// What it says.
        reason: String,
    },
}

impl Standing {
    /// The store in a data folder, whether or not a process works with it.
    ///
    /// # Errors
    /// [`UpkeepError`]
    pub fn in_folder(folder: &Path) -> Result<Self, UpkeepError> {
        // What is there may be half of the old one, before it was opened or while it was.
        let half = || {
            let half = folder.join(lock::INCOMING).exists();
            if half { Err(OpenError::HalfRestored { folder: folder.to_owned() }) } else { Ok(()) }
        };
        half()?;
        let found = Self::found_in(folder);
        half()?;
        found
    }

    /// The same, of whatever is there.
    fn found_in(folder: &Path) -> Result<Self, UpkeepError> {
        let file = folder.join(FILE);
        if !holds_something(&file)? {
            return Err(UpkeepError::NoStore(folder.to_owned()));
        }
        // Where the counter cannot be read nothing is known by it.
        let counted = Counter::read(folder).unwrap_or(None);
        Ok(Self { counted, ..Self::open(file, folder)? })
    }

    /// A backup.
    ///
    /// # Errors
    /// [`UpkeepError`]
    pub fn of_file(file: &Path) -> Result<Self, UpkeepError> {
        if !holds_something(file)? {
            return Err(UpkeepError::NoStore(file.to_owned()));
        }
        Self::open(file.to_owned(), file)
    }

    /// The backend domain it belongs to.
    pub fn domain(&self) -> &str {
        &self.meta.domain
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Refuses a store of another backend.
    ///
    /// # Errors
    /// [`OpenError::OtherDomain`]
    pub fn belonging_to(self, domain: &Domain) -> Result<Self, UpkeepError> {
        if self.meta.domain != domain.as_str() {
            return Err(OpenError::OtherDomain { stored: self.meta.domain, asked: domain.clone() }.into());
        }
        Ok(self)
    }

    /// Refuses a store that has lost its last commits: a copy of it would not say so.
    fn whole(&self) -> Result<(), UpkeepError> {
        let (found, lost) = (self.meta.commits, self.lost_commits());
        if lost == 0 {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(&self.file).to_owned();
        let counter = Counter::path(&folder);
        Err(OpenError::LostCommits { folder, counter, found, counted: found + lost }.into())
    }

    /// How many commits were acknowledged that are not there.
    fn lost_commits(&self) -> u64 {
        let counted = self.counted.filter(|count| count.node == self.meta.node).map_or(0, |count| count.commits);
        counted.saturating_sub(self.meta.commits)
    }

    fn open(file: PathBuf, shown: &Path) -> Result<Self, UpkeepError> {
        let damaged = |reason: String| UpkeepError::from(OpenError::Damaged { folder: shown.to_owned(), reason });
        let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(error.to_string()),
            _ => sqlite(&file, &error),
        };
        let conn = reading(&file).map_err(failed)?;
        // From the first read on, everything is read of one state.
        conn.execute_batch("BEGIN").map_err(failed)?;
        let meta = schema::read(&conn).map_err(|why| match why {
            Refusal::NewerFormat(found) => OpenError::NewerFormat { found, known: schema::FORMAT }.into(),
            Refusal::NotAStore(reason) => damaged(reason.to_owned()),
            Refusal::Sqlite(error) => failed(error),
            Refusal::OtherDomain(domain) => damaged(domain),
            Refusal::LostCommits { found, counted } => damaged(format!("it counts {found} commits of {counted}")),
        })?;
        schema::read_as_newest(&conn, &meta).map_err(failed)?;
        Ok(Self { conn, file, meta, counted: None })
    }
}

/// Above all versions and ids that a folder's stores ever handed out, as far as that can be read: the one that is there, one
/// that an interrupted restore was to put there, and those that were kept aside.
fn ceiling_of(folder: &Path) -> Version {
    let aside = install::asides(folder).map(|aside| aside.join(FILE));
    let files = aside.chain([folder.join(FILE), folder.join(lock::INCOMING)]);
    files
        .filter_map(|file| Standing::of_file(&file).ok())
        .map(|standing| standing.meta.ceiling)
        .max()
        .unwrap_or_default()
}

/// Whether a file is there and not empty, as it is while a store is being made.
fn holds_something(file: &Path) -> Result<bool, UpkeepError> {
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len() > 0),
        Ok(_) => Err(io_error(file)(io::ErrorKind::IsADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(io_error(file)(source)),
    }
}

fn sqlite(file: &Path, error: &rusqlite::Error) -> UpkeepError {
    // The second: even what only reads has an index of SQLite's log, and that found no room.
    let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    if full {
        return UpkeepError::Full(file.to_owned());
    }
    UpkeepError::Sqlite { file: file.to_owned(), reason: error.to_string() }
}

fn io_error(file: &Path) -> impl Fn(io::Error) -> UpkeepError {
    let file = file.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => UpkeepError::Full(file.clone()),
        _ => UpkeepError::Io { file: file.clone(), source },
    }
}

/// What reading one thing met: damage of it, which does not hinder the rest, or SQLite's refusal to go on.
enum Met {
    Damage(Corrupt),
    Sqlite(rusqlite::Error),
}

impl From<Corrupt> for Met {
    fn from(corrupt: Corrupt) -> Self {
        Self::Damage(corrupt)
    }
}

impl From<rusqlite::Error> for Met {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What is called after its tag, for want of a name.
fn unnamed(kind: &str, bytes: &[u8]) -> String {
    key::tag(bytes).map_or_else(|| format!("{kind} without a tag"), |tag| format!("{kind} {tag}"))
}

fn shown(of: &[u8], key: &[u8]) -> String {
    match key {
        [] | [0] | [_, _] => key::show(of),
        _ => format!("{} {}", key::show(of), key::show(key)),
    }
}

fn open_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}
