//! Faults at the steps of a commit. For tests: only there with the feature `faults`, which no release is built with.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
};

use rusqlite::{Connection, Error};

pub use crate::sqlite::Point;

#[cfg(not(debug_assertions))]
compile_error!("the feature `faults` is for test builds; a release has no fail points");

/// What happens at each [`Point`]: the process goes on, stops, or the step fails.
#[derive(Clone)]
pub struct Faults(Arc<At>);

type At = dyn Fn(Point, &Connection) -> Result<(), Error> + Send + Sync;

impl Faults {
    /// Asks at each point, with the connection that is at work there.
    pub fn new(at: impl Fn(Point, &Connection) -> Result<(), Error> + Send + Sync + 'static) -> Self {
        Self(Arc::new(at))
    }

    pub(crate) fn reach(&self, point: Point, conn: &Connection) -> Result<(), Error> {
        (self.0)(point, conn)
    }
}

/// A step of a backup, a restore or a load was done. There the process dies that was started with
/// `FERRULE_DIE_AT=upkeep=7`, at the seventh of them.
pub(crate) fn upkeep_step() {
    static LEFT: LazyLock<Option<AtomicI64>> =
        LazyLock::new(|| die_at().filter(|(point, _)| point == "upkeep").map(|(_, nth)| AtomicI64::new(nth)));
    if LEFT.as_ref().is_some_and(|left| left.fetch_sub(1, Ordering::Relaxed) == 1) {
        std::process::abort();
    }
}

/// Where the process was started to die, and at which time it comes there.
fn die_at() -> Option<(String, i64)> {
    let told = std::env::var("FERRULE_DIE_AT").ok()?;
    let (point, nth) = told.rsplit_once('=')?;
    Some((point.to_owned(), nth.parse().ok()?))
}

impl Default for Faults {
    /// None, unless the process was started to die at a point: `FERRULE_DIE_AT=counted=7` at the seventh time.
    fn default() -> Self {
        let Some((point, nth)) = die_at() else { return Self::new(|_, _| Ok(())) };
        let left = AtomicI64::new(nth);
        Self::new(move |at, _| {
            if format!("{at:?}").eq_ignore_ascii_case(&point) && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                std::process::abort();
            }
            Ok(())
        })
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}
