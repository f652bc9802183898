//! Backups: made while the store is written, and put back.

use std::path::{Path, PathBuf};

use types::{Domain, Timestamp};

use super::{
    Existing, Progress, Standing, UpkeepError, Verdict, ceiling_of,
    copy::{Partial, copy, on_its_own},
    install::Site,
    sqlite,
};
use crate::{
    Catalogue, Version,
    faults::upkeep_step,
    id::version_of_tick,
    sqlite::{schema, writing},
};

/// What became of a restore, or of loading a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where the store is that was there before, if there was one.
    pub aside: Option<PathBuf>,
}

impl Standing {
    /// Makes a backup: a file of its own, which has the name only once it is whole, on the disk, and found good. Whoever
    /// works with the store goes on; what he writes meanwhile is not in it, and stays in SQLite's log until all is copied.
    ///
    /// Two parts, each reported: pages copied, then rows and entries looked at.
    ///
    /// # Errors
    /// [`UpkeepError`]; then there is no file of that name. [`LostCommits`](crate::OpenError::LostCommits) of a store that has lost some.
    pub fn backup(
        self,
        to: &Path,
        tables: &Catalogue,
        copied: Progress<'_>,
        checked: Progress<'_>,
    ) -> Result<Verdict, UpkeepError> {
        self.whole()?;
        let partial = Partial::begin(to)?;
        copy(&self.conn, partial.path(), copied)?;
        let Self { conn, file, .. } = self;
        // From here on the log of whoever works with the store can begin anew.
        drop(conn);
        let verdict = Self::of_file(partial.path())?.check(tables, checked).good_at(&file)?;
        upkeep_step();
        partial.keep().map(|()| verdict)
    }
}

/// Puts a backup into a data folder in which nobody works. It is looked at first; nothing is touched if it is damaged, newer
/// than this release, or another backend's.
///
/// What is written after a restore is newer than everything that was handed out before it, as far as that is known: by the
/// clock, and by the store that was there. Cursors into the time that is lost are recognised.
///
/// # Errors
/// [`UpkeepError`]
pub fn restore(
    backup: &Path,
    folder: &Path,
    domain: &Domain,
    tables: &Catalogue,
    existing: Existing,
    now: Timestamp,
    progress: Progress<'_>,
) -> Result<Restored, UpkeepError> {
    let standing = Standing::of_file(backup)?.belonging_to(domain)?;
    let verdict = standing.check(tables, progress).good_at(backup)?;
    let site = Site::enter(folder, existing)?;
    let before = ceiling_of(folder);
    match put(&standing, &verdict, before, site.copying()) {
        Ok(()) => site.install(now),
        Err(error) => {
            site.leave();
            Err(error)
        }
    }
}

/// Copies a backup, and notes in it what is lost.
fn put(standing: &Standing, verdict: &Verdict, before: Version, file: &Path) -> Result<(), UpkeepError> {
    copy(&standing.conn, file, &mut |_, _| ())?;
    let mut lost = standing.meta.lost.clone();
    lost.begin(verdict.newest);
    let used = version_of_tick(verdict.newest);
    let ceiling = standing.meta.ceiling.max(before).max(used);
    let conn = writing(file).map_err(|error| sqlite(file, &error))?;
    let noted = schema::set_ceiling(&conn, ceiling)
        .and_then(|()| schema::set_lost(&conn, &lost))
        .and_then(|()| on_its_own(&conn));
    upkeep_step();
    noted.map_err(|error| sqlite(file, &error))
}
