//! The one thread that writes.

mod group;
mod merge;
mod settle;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::TryRecvError},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use types::Clock;

use self::{group::Pace, merge::Fresh};
use super::{
    apply::Applier,
    checkpoint::Brake,
    counter::Counter,
    point::Point,
    queue::{Answer, Inbox, Waiting, Work},
    reader, remove,
    schema::set_ceiling,
};
use crate::{EntryId, LogRef, ReadError, engine::Report, faults::Faults, watch::Feed};

/// So many waiting commits are a short queue, beside which what has expired is removed.
const SHORT: usize = 64;
/// Beside a long queue one batch is removed in such a time, so that a busy store does not grow without bounds.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the writer waits for readers of older states when it makes room in the log of SQLite.
const ROOM: Duration = Duration::from_millis(100);
/// When it tries again after one did not come to an end.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// Everything the writing thread has.
pub(super) struct Writer {
    /// Shared with the readers when the store is in memory, where there is one connection for all. Locked for a whole
    /// transaction, so that nobody sees half of one.
    pub(super) conn: Arc<Mutex<Connection>>,
    /// Opens the database anew, after a commit failed at its very end. `None` for a store in memory.
    pub(super) reopen: Option<Box<dyn Fn() -> Result<Connection, rusqlite::Error> + Send>>,
    pub(super) applier: Applier,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) feed: Feed,
    pub(super) brake: Arc<Brake>,
    /// The counter of commits beside the database; `None` for a store in memory.
    pub(super) counter: Option<Counter>,
    pub(super) faults: Faults,
    /// How many entries may be fresh.
    pub(super) fresh: u64,
    pub(super) state: State,
}

/// What the writer remembers of its work.
#[derive(Default)]
pub(super) struct State {
    /// Sweeps so far.
    sweeps: usize,
    /// When a job last came to a turn.
    swept: Option<Instant>,
    /// When to try to make room again.
    room: Option<Instant>,
    /// How the last group went.
    pace: Pace,
    /// The disk is full, and that was said.
    full: bool,
    /// Entries that are not moved yet.
    fresh: Fresh,
}

/// What takes many transactions. Commits come between them.
enum Job {
    Housekeep { started: Instant, budget: Duration, sum: Report, answer: Answer<Report> },
    Trim { log: LogRef, upto: EntryId, answer: Answer<Result<(), ReadError>> },
}

/// Jobs that are under way, in turns, and whether there are still callers.
#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// A commit that the last group had no room for.
    next: Option<Waiting>,
    closed: bool,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self, inbox: &Inbox) {
        let mut jobs = Jobs::default();
        while self.turn(&mut jobs, inbox) {}
        let ceiling = self.applier.hybrid.ceiling_now(Duration::ZERO);
        if let Err(error) = set_ceiling(&self.conn(), ceiling) {
            tracing::warn!(%error, "the clock's ceiling stays some seconds ahead");
        }
    }

    /// The commits that wait, all of one group, and one transaction of a job; so neither keeps the other from going on.
    /// `false` at the end.
    fn turn(&mut self, jobs: &mut Jobs, inbox: &Inbox) -> bool {
        let waiting = if let Some(next) = jobs.next.take() {
            Ok(Work::Commit(next))
        } else if jobs.waiting.is_empty() && !self.state.fresh.is_due(self.fresh) {
            inbox.works.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            inbox.works.try_recv()
        };
        match waiting {
            Ok(work) => {
                let job = match work {
                    Work::Commit(first) => self.group(first, inbox, &mut jobs.next, std::thread::sleep),
                    other => Some(other),
                };
                if let Some(job) = job.and_then(|work| self.job(work)) {
                    jobs.waiting.push_back(job);
                }
            }
            Err(TryRecvError::Disconnected) if jobs.waiting.is_empty() => return false,
            Err(TryRecvError::Disconnected) => jobs.closed = true,
            Err(TryRecvError::Empty) => {}
        }
        if self.may_work(jobs, inbox)
            && let Some(job) = jobs.waiting.pop_front()
            && let Some(unfinished) = self.go_on(job, jobs.closed)
        {
            jobs.waiting.push_back(unfinished);
        }
        self.merge(inbox.waiting() <= SHORT);
        true
    }

    /// Whether a job comes to a turn: while the queue is short, or when it was long for some time.
    fn may_work(&mut self, jobs: &Jobs, inbox: &Inbox) -> bool {
        if jobs.waiting.is_empty() {
            return false;
        }
        let now = self.clock.monotonic();
        let patient = self.state.swept.is_some_and(|swept| now.saturating_duration_since(swept) < PATIENCE);
        if inbox.waiting() > SHORT && patient && !jobs.closed {
            return false;
        }
        self.state.swept = Some(now);
        true
    }

    fn job(&self, work: Work) -> Option<Job> {
        match work {
            Work::Commit(_) => None,
            Work::Housekeep { budget, answer } => {
                Some(Job::Housekeep { started: self.clock.monotonic(), budget, sum: Report::default(), answer })
            }
            Work::Trim { log, upto, answer } => Some(Job::Trim { log, upto, answer }),
        }
    }

    fn conn(&self) -> MutexGuard<'_, Connection> {
        lock(&self.conn)
    }

    /// Lets the log of SQLite begin from its start again, waiting for readers of older states.
    fn make_room(&mut self) {
        let now = self.clock.monotonic();
        if self.state.room.is_some_and(|again| now < again) {
            return;
        }
        let restart = |conn: &Connection| {
            conn.busy_timeout(ROOM)?;
            let done = conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0));
            conn.busy_timeout(super::BUSY)?;
            done
        };
        let done = restart(&self.conn());
        self.state.room = (done != Ok(0)).then_some(now + ROOM_AGAIN);
        match done {
            Ok(0) => self.brake.emptied(),
            Ok(_) => tracing::warn!("a long read keeps the log of SQLite growing"),
            Err(error) => tracing::warn!(%error, "a checkpoint of SQLite failed"),
        }
    }

    /// Does one transaction of a job, and answers if it was the last. Whoever asked may be gone; the work is done all
    /// the same. Housekeeping can go on another time and does not keep a store from closing.
    fn go_on(&mut self, job: Job, closed: bool) -> Option<Job> {
        match job {
            Job::Housekeep { started, budget, mut sum, answer } => {
                let failed = self.housekeep(&mut sum).is_err();
                let spent = self.clock.monotonic().saturating_duration_since(started);
                if sum.more && !failed && !closed && spent < budget {
                    return Some(Job::Housekeep { started, budget, sum, answer });
                }
                answer.send(sum);
            }
            Job::Trim { log, upto, answer } => {
                let (node, clock) = (self.applier.node, Arc::clone(&self.clock));
                let done = match self.removal(|conn| remove::trimmed(conn, node, &log, upto, &*clock)) {
                    Ok(report) if report.more => return Some(Job::Trim { log, upto, answer }),
                    Ok(_) => Ok(()),
                    Err(error) => Err(reader::failed(&error, log.kind, &log.bytes)),
                };
                answer.send(done);
            }
        }
        None
    }

    fn housekeep(&mut self, sum: &mut Report) -> Result<(), rusqlite::Error> {
        let (clock, first) = (Arc::clone(&self.clock), self.state.sweeps);
        self.state.sweeps = self.state.sweeps.wrapping_add(1);
        let report = self.removal(|conn| remove::expired(conn, &*clock, first)).inspect_err(|error| {
            tracing::warn!(%error, "removing what has expired failed");
            sum.more = true;
        })?;
        sum.rows += report.rows;
        sum.entries += report.entries;
        sum.logs += report.logs;
        sum.bodies += report.bodies;
        sum.more = report.more;
        Ok(())
    }

    fn removal(
        &mut self,
        remove: impl FnOnce(&Connection) -> Result<Report, rusqlite::Error>,
    ) -> Result<Report, rusqlite::Error> {
        let done = self.beside(Point::Removed, remove);
        // Names of logs are gone. What is removed from the front of a log that goes on does not change its end.
        if done.as_ref().map_or(true, |report| report.logs > 0) {
            self.applier.forget();
        }
        done
    }

    /// Does something in a transaction of its own. `at`: it was done, but not committed.
    fn beside<T>(
        &self,
        at: Point,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        let conn = lock(&self.conn);
        run_cached(&conn, "BEGIN IMMEDIATE")?;
        let done = work(&conn).and_then(|done| {
            self.faults.reach(at, &conn)?;
            run_cached(&conn, "COMMIT").map(|()| done)
        });
        if done.is_err() {
            rollback(&conn);
        }
        self.brake.wrote();
        done
    }
}

fn lock(conn: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    conn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a statement that is run all the time, so that it is compiled once.
fn run_cached(conn: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(sql)?.execute([]).map(drop)
}

fn rollback(conn: &Connection) {
    // SQLite may have rolled back by itself already.
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "SQLite does not roll back");
    }
}

#[cfg(test)]
mod tests;
