//! Faults at the steps of a commit. For tests: only there with the feature `faults`, which no release is built with.

use std::{
    fmt,
    sync::{
        Arc,
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

impl Default for Faults {
    /// None, unless the process was started to die at a point: `FERRULE_DIE_AT=counted=7` at the seventh time.
    fn default() -> Self {
        let told = std::env::var("FERRULE_DIE_AT").ok();
        let told = told.as_deref().and_then(|told| told.rsplit_once('='));
        let Some((point, nth)) = told.and_then(|(point, nth)| Some((point.to_owned(), nth.parse().ok()?))) else {
            return Self::new(|_, _| Ok(()));
        };
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
