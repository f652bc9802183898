//! Copying the log of SQLite (the WAL) back into the database, away from the writer.
//!
//! A checkpoint by the writer would stall it for some 100 ms every few megabytes. On a connection of its own it costs the
//! writer nothing, but the WAL can only begin again from its start in a moment without new frames; so intake is slowed
//! down before the WAL grows too large, and at the very end the writer makes room itself.

use std::{
    fs::File,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::Connection;

use super::point::Point;
use crate::faults::Faults;

/// How long the checkpointer rests between two rounds.
const ROUND: Duration = Duration::from_millis(100);
/// Once in so many rounds the counter of commits is synced.
const SYNCED_ROUNDS: u32 = 10;
/// The size of the WAL at which the writer makes room itself. From half of it on, intake is slowed down.
pub(super) const WAL_CAP: u64 = 512 << 20;
/// The longest pause of the writer before one group.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What writer and checkpointer tell each other.
pub(super) struct Brake {
    state: Mutex<State>,
    changed: Condvar,
    /// [`WAL_CAP`].
    cap: u64,
}

impl Default for Brake {
    fn default() -> Self {
        Self::at(WAL_CAP)
    }
}

#[derive(Default)]
struct State {
    /// Something was written since the last round.
    dirty: bool,
    /// Bytes of the WAL that the next write does not reuse.
    wal: u64,
    stop: bool,
}

impl Brake {
    /// One that lets the WAL grow so large.
    pub(super) fn at(cap: u64) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), cap }
    }

    /// The writer committed something.
    pub(super) fn wrote(&self) {
        let mut state = self.state();
        if !state.dirty {
            state.dirty = true;
            self.changed.notify_all();
        }
    }

    /// Slows the writer down while the WAL is large; says whether it must make room itself.
    pub(super) fn pause(&self) -> bool {
        let state = self.state();
        let pause = pause_at(state.wal, self.cap);
        if pause.is_zero() {
            return false;
        }
        let waited = self.changed.wait_timeout_while(state, pause, |state| state.wal > self.cap / 2 && !state.stop);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.wal > self.cap
    }

    /// The WAL begins from its start again.
    pub(super) fn emptied(&self) {
        self.state().wal = 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.state().stop = true;
        self.changed.notify_all();
    }

    /// Waits until there is something to do; `false` at the end.
    fn wait(&self) -> bool {
        let state = self.changed.wait_while(self.state(), |state| !state.dirty && !state.stop);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        // While the writer is braked there is no time to rest.
        let rested = self.changed.wait_timeout_while(state, ROUND, |state| !state.stop && state.wal <= self.cap / 2);
        let (mut state, _) = rested.unwrap_or_else(PoisonError::into_inner);
        state.dirty = false;
        !state.stop
    }

    /// The round was nothing.
    fn again(&self) {
        self.state().dirty = true;
    }

    fn report(&self, frames: u64, copied: u64, page: u64) {
        let mut state = self.state();
        // The next write begins at the start again only if nothing was written behind what was copied.
        let reusable = frames == copied && !state.dirty;
        state.wal = if reusable { 0 } else { frames.saturating_mul(page) };
        // What could not be copied, because somebody reads an older state, is tried again.
        state.dirty |= frames != copied;
        self.changed.notify_all();
    }
}

/// How long the writer waits before a group while the WAL has that size: nothing up to half the cap, then more and more.
fn pause_at(wal: u64, cap: u64) -> Duration {
    let half = cap / 2;
    let over = wal.saturating_sub(half).min(half);
    LONGEST_PAUSE.mul_f64(over as f64 / half as f64)
}

/// What the checkpointer works with.
pub(super) struct Beside {
    pub(super) conn: Connection,
    /// The counter of commits.
    pub(super) counter: File,
    pub(super) faults: Faults,
}

/// The thread that copies.
pub(super) struct Checkpointer {
    brake: Arc<Brake>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts it on a connection of its own.
    pub(super) fn start(beside: Beside, brake: Arc<Brake>) -> Result<Self, std::io::Error> {
        let shared = Arc::clone(&brake);
        let thread =
            std::thread::Builder::new().name("store-checkpoint".into()).spawn(move || run(&beside, &shared))?;
        Ok(Self { brake, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.brake.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its hook; there is nothing to save.
            let _ = thread.join();
        }
    }
}

fn run(Beside { conn, counter, faults }: &Beside, brake: &Brake) {
    let page = conn.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0)).unwrap_or(4096);
    let page = u64::try_from(page).unwrap_or(4096);
    let (mut rounds, mut failing) = (0_u32, false);
    while brake.wait() {
        let round = || {
            faults.reach(Point::Checkpointing, conn)?;
            let sql = "PRAGMA wal_checkpoint(PASSIVE)";
            let done = conn.query_row(sql, [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
            faults.reach(Point::Checkpointed, conn).map(|()| done)
        };
        match round() {
            Ok((frames, copied)) => {
                brake.report(u64::try_from(frames).unwrap_or(0), u64::try_from(copied).unwrap_or(0), page);
                failing = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "a checkpoint of SQLite failed, each round tries again");
                }
                brake.again();
            }
        }
        // Only for a loss of power: what a process wrote outlives it by itself.
        if rounds % SYNCED_ROUNDS == 0
            && let Err(error) = counter.sync_data()
        {
            tracing::warn!(%error, "the counter of commits could not be synced");
        }
        rounds = rounds.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_takes_hold_from_half_the_cap_on() {
        let pause_at = |wal| pause_at(wal, WAL_CAP);
        assert_eq!(pause_at(0), Duration::ZERO);
        assert_eq!(pause_at(WAL_CAP / 2), Duration::ZERO);
        assert_eq!(pause_at(WAL_CAP * 3 / 4), LONGEST_PAUSE / 2);
        assert_eq!(pause_at(WAL_CAP * 9), LONGEST_PAUSE);
        let brake = Brake::default();
        assert!(!brake.pause());
        brake.report(WAL_CAP / 4096 + 1, 0, 4096);
        assert!(brake.pause(), "beyond the cap the writer makes room");
        brake.report(WAL_CAP / 4096 + 1, WAL_CAP / 4096 + 1, 4096);
        assert!(brake.pause(), "what was not copied, or written meanwhile, is still behind it");
        assert!(brake.wait());
        brake.report(WAL_CAP / 4096 + 1, WAL_CAP / 4096 + 1, 4096);
        assert!(!brake.pause(), "what is copied can be overwritten");
    }
}
