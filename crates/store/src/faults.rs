//! Places where a test ends the process as a crash would. They exist in builds with the feature `faults` only.

/// Passes, unless the process was started to die here: `FERRULE_DIE_AT=name=7` at the seventh time.
#[cfg(feature = "faults")]
pub(crate) fn point(name: &str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    static DIE_AT: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let die_at = DIE_AT.get_or_init(|| {
        let told = std::env::var("FERRULE_DIE_AT").ok()?;
        let (name, nth) = told.rsplit_once('=')?;
        Some((name.to_owned(), AtomicU64::new(nth.parse().ok()?)))
    });
    if let Some((place, left)) = die_at
        && place == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Passes.
#[cfg(not(feature = "faults"))]
pub(crate) const fn point(_: &str) {}
