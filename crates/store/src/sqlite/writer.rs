//! The one thread that writes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::TryRecvError},
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use types::Clock;

use super::{
    apply::Applier,
    checkpoint::Brake,
    counter::Counter,
    point::Point,
    queue::{Inbox, Waiting, Work},
    reader, remove,
    schema::{count_commits, counted_commits, set_ceiling},
};
use crate::{
    CommitError, Committed, EntryId, LogRef, ReadError, engine::RawCommit, engine::Report, faults::Faults, watch::Feed,
};

/// Commits of one group.
const GROUP: usize = 512;
/// Bytes of one group.
const GROUP_BYTES: usize = 16 << 20;
/// So many waiting commits are a short queue, beside which what has expired is removed.
const SHORT: usize = 64;
/// Beside a long queue one batch is removed in such a time, so that a busy store does not grow without bounds.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the writer waits for readers of older states when it makes room in the log of SQLite.
const ROOM: Duration = Duration::from_millis(100);
/// When it tries again after one did not come to an end.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

type Outcome = Result<Committed, CommitError>;

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
    /// The disk is full, and that was said.
    full: bool,
}

/// What takes many transactions. Commits come between them.
enum Job {
    Housekeep { started: Instant, budget: Duration, sum: Report, answer: oneshot::Sender<Report> },
    Trim { log: LogRef, upto: EntryId, answer: oneshot::Sender<Result<(), ReadError>> },
}

/// Jobs that are under way, in turns, and whether there are still callers.
#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// A commit that the last group had no room for.
    next: Option<Waiting>,
    closed: bool,
}

/// Why a group was not committed.
enum Failure {
    /// The transaction could not begin: nothing happened, and commits one by one would fare no better.
    Begin(rusqlite::Error),
    /// `COMMIT` itself failed: it may or may not have happened. If it did, these are the answers, and so many commits were
    /// counted.
    Commit(rusqlite::Error, Vec<Outcome>, u64),
    /// Something failed before, and everything was rolled back.
    Statement(rusqlite::Error),
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
        } else if jobs.waiting.is_empty() {
            inbox.works.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            inbox.works.try_recv()
        };
        match waiting {
            Ok(work) => {
                let job = match work {
                    Work::Commit(first) => self.group(first, inbox, &mut jobs.next),
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

    /// Drains commits into one transaction. Returns work of another kind that came up.
    fn group(&mut self, first: Waiting, inbox: &Inbox, next: &mut Option<Waiting>) -> Option<Work> {
        let mut bytes = first.commit.bytes;
        let mut group = vec![first];
        let mut other = None;
        while group.len() < GROUP && bytes < GROUP_BYTES {
            match inbox.works.try_recv() {
                Ok(Work::Commit(waiting)) if bytes + waiting.commit.bytes > GROUP_BYTES => {
                    *next = Some(waiting);
                    break;
                }
                Ok(Work::Commit(waiting)) => {
                    bytes += waiting.commit.bytes;
                    group.push(waiting);
                }
                Ok(work) => {
                    other = Some(work);
                    break;
                }
                Err(_) => break,
            }
        }
        group.retain(Waiting::take);
        if self.brake.pause() {
            self.make_room();
        }
        let commits: Vec<Arc<RawCommit>> = group.iter().map(|waiting| Arc::clone(&waiting.commit)).collect();
        let outcomes = self.write(&commits);
        for outcome in outcomes.iter().flatten().filter(|done| !done.repeated) {
            self.feed.announce(&outcome.appended);
        }
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            // Whoever asked may have stopped waiting.
            let _ = waiting.answer.send(outcome);
        }
        // Failing here means nothing any more.
        let _ = self.faults.reach(Point::Answered, &self.conn());
        other
    }

    fn write(&mut self, commits: &[Arc<RawCommit>]) -> Vec<Outcome> {
        let one_by_one = commits.len() > 1;
        match self.transaction(commits) {
            Ok(outcomes) => {
                if std::mem::take(&mut self.state.full) {
                    tracing::info!("there is space on the disk again");
                }
                outcomes
            }
            Err(Failure::Begin(error)) => {
                tracing::error!(%error, "SQLite does not let us write");
                commits.iter().map(|_| Err(CommitError::unavailable())).collect()
            }
            // A transaction whose frames had no room is not there, whether that showed in a statement or in `COMMIT`.
            Err(Failure::Statement(error) | Failure::Commit(error, ..)) if is_full(&error) && !one_by_one => {
                if !std::mem::replace(&mut self.state.full, true) {
                    tracing::error!(%error, "the disk is full: commits are refused until there is space");
                }
                vec![Err(CommitError::unavailable())]
            }
            Err(Failure::Commit(error, ..)) if is_full(&error) => {
                commits.iter().flat_map(|one| self.write(std::slice::from_ref(one))).collect()
            }
            Err(Failure::Statement(error)) if one_by_one => {
                if !self.state.full {
                    tracing::warn!(%error, "a group of commits failed, now one by one");
                }
                commits.iter().flat_map(|one| self.write(std::slice::from_ref(one))).collect()
            }
            Err(Failure::Statement(error)) => commits.iter().map(|commit| Err(refused(&error, commit))).collect(),
            Err(Failure::Commit(error, outcomes, counted)) => {
                tracing::error!(%error, "SQLite failed at the end of a commit");
                self.resolve(commits, outcomes, counted)
            }
        }
    }

    fn transaction(&mut self, commits: &[Arc<RawCommit>]) -> Result<Vec<Outcome>, Failure> {
        let conn = lock(&self.conn);
        conn.execute_batch("BEGIN IMMEDIATE").map_err(Failure::Begin)?;
        let mut run = || {
            self.faults.reach(Point::Begun, &conn)?;
            let (mut outcomes, mut done) = (Vec::with_capacity(commits.len()), 0);
            for commit in commits {
                let outcome = self.applier.apply(&conn, commit)?;
                self.faults.reach(Point::Written, &conn)?;
                done += u64::from(outcome.as_ref().is_ok_and(|done| !done.repeated));
                outcomes.push(outcome);
            }
            let counted = if done > 0 { Some(count_commits(&conn, done)?) } else { None };
            let ceiling = self.applier.hybrid.ceiling_to_write();
            if let Some(ceiling) = ceiling {
                set_ceiling(&conn, ceiling)?;
            }
            Ok((outcomes, counted, ceiling))
        };
        let (outcomes, counted, ceiling) = run()
            .map_err(|error| {
                rollback(&conn);
                Failure::Statement(error)
            })
            .inspect_err(|_| self.applier.forget())?;
        let end = || {
            self.faults.reach(Point::Committing, &conn)?;
            conn.execute_batch("COMMIT")?;
            self.faults.reach(Point::Committed, &conn)
        };
        if let Err(error) = end() {
            rollback(&conn);
            self.applier.forget();
            return Err(match counted {
                Some(counted) => Failure::Commit(error, outcomes, counted),
                // Nothing of a commit was in it.
                None => Failure::Statement(error),
            });
        }
        if let Some(ceiling) = ceiling {
            self.applier.hybrid.ceiling_written(ceiling);
        }
        if let Some(counted) = counted {
            if let Some(counter) = &mut self.counter {
                counter.note(counted);
            }
            // Failing here means nothing any more.
            let _ = self.faults.reach(Point::Counted, &conn);
            self.brake.wrote();
        }
        Ok(outcomes)
    }

    /// After `COMMIT` failed: opens the database anew, so that SQLite decides by its log what it holds; looks whether it
    /// counted the commits of the group; and writes, so that nothing of a transaction that failed can come back.
    ///
    /// The count decides for all of them, those without an aggregate too, since the group is one transaction.
    fn resolve(&mut self, commits: &[Arc<RawCommit>], outcomes: Vec<Outcome>, counted: u64) -> Vec<Outcome> {
        match self.fence() {
            Ok(found) if found >= counted => {
                if let Some(counter) = &mut self.counter {
                    counter.note(counted);
                }
                self.brake.wrote();
                outcomes
            }
            Ok(_) => commits.iter().map(|_| Err(CommitError::unavailable())).collect(),
            Err(error) => {
                tracing::error!(%error, "SQLite could not be opened anew");
                commits.iter().map(|commit| Err(CommitError::OutcomeUnknown { id: commit.id })).collect()
            }
        }
    }

    fn fence(&mut self) -> Result<u64, rusqlite::Error> {
        let mut conn = lock(&self.conn);
        self.faults.reach(Point::Fencing, &conn)?;
        if let Some(reopen) = &self.reopen {
            *conn = reopen()?;
        }
        let found = counted_commits(&conn)?;
        let ceiling = self.applier.hybrid.ceiling_now(Duration::from_secs(10));
        set_ceiling(&conn, ceiling)?;
        self.applier.hybrid.ceiling_written(ceiling);
        Ok(found)
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
                let _ = answer.send(sum);
            }
            Job::Trim { log, upto, answer } => {
                let (node, clock) = (self.applier.node, Arc::clone(&self.clock));
                let done = match self.removal(|conn| remove::trimmed(conn, node, &log, upto, &*clock)) {
                    Ok(report) if report.more => return Some(Job::Trim { log, upto, answer }),
                    Ok(_) => Ok(()),
                    Err(error) => Err(reader::failed(&error, log.kind, &log.bytes)),
                };
                let _ = answer.send(done);
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
        let conn = lock(&self.conn);
        conn.execute_batch("BEGIN IMMEDIATE")?;
        let done = remove(&conn).and_then(|report| {
            self.faults.reach(Point::Removed, &conn)?;
            conn.execute_batch("COMMIT").map(|()| report)
        });
        if done.is_err() {
            rollback(&conn);
        }
        // Names of logs are gone. What is removed from the front of a log that goes on does not change its end.
        if done.as_ref().map_or(true, |report| report.logs > 0) {
            self.applier.forget();
        }
        self.brake.wrote();
        done
    }
}

fn lock(conn: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    conn.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rollback(conn: &Connection) {
    // SQLite may have rolled back by itself already.
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "SQLite does not roll back");
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// What the failure of one commit alone means.
fn refused(error: &rusqlite::Error, commit: &RawCommit) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            let (table, key): (&str, &[u8]) = match (&commit.aggregate, commit.effects.first(), commit.appends.first())
            {
                (Some(aggregate), _, _) => (aggregate.kind, &aggregate.bytes),
                (_, Some(effect), _) => (effect.table, &effect.part),
                (_, _, Some(append)) => (append.log.kind, &append.log.bytes),
                (None, None, None) => ("store", &[]),
            };
            reader::corrupt(table, key).into()
        }
        _ => {
            tracing::error!(%error, "SQLite refuses a commit");
            CommitError::unavailable()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin, task};

    use bytes::Bytes;
    use types::{ManualClock, SeededRng, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::{
        Cell, CommitId,
        engine::{RawAppend, RawBody, RawEffect, RawPut},
        hybrid::Hybrid,
        sqlite::{queue::Queue, schema},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn writer() -> Writer {
        let clock = Arc::new(ManualClock::at(NOW));
        let mut conn = Connection::open_in_memory().unwrap();
        let mut options = crate::Options::new(crate::Place::Memory, "a.example".parse().unwrap());
        options.clock = Arc::<ManualClock>::clone(&clock);
        options.rng = Arc::new(SeededRng::new(7));
        let meta = schema::prepare(&mut conn, &options, None).unwrap_or_else(|_| panic!("it is fresh"));
        Writer {
            conn: Arc::new(Mutex::new(conn)),
            reopen: None,
            applier: Applier::new(Hybrid::starting_at(Arc::clone(&clock) as Arc<dyn Clock>, meta.ceiling), meta.node),
            clock,
            feed: Feed::default(),
            brake: Arc::default(),
            counter: None,
            faults: Faults::default(),
            state: State::default(),
        }
    }

    fn log() -> LogRef {
        crate::LogKind::<u64>::new(1, "log", None, Duration::ZERO, Duration::from_secs(1)).of(&1)
    }

    /// Rows that have expired, and entries.
    fn commit(id: u128, rows: u64, entries: u64) -> Arc<RawCommit> {
        let effect = |no: u64| RawEffect {
            table: "list",
            part: Bytes::from_static(b"part"),
            key: Bytes::from(format!("{id} {no}")),
            put: Some(RawPut { cell: Cell::bin(Bytes::new()), expires: Some(Timestamp::from_seconds(1)) }),
        };
        let append = |no: u64| RawAppend {
            log: log(),
            key: Bytes::from(format!("{id} {no}")),
            meta: Bytes::new(),
            body: RawBody::None,
        };
        Arc::new(RawCommit {
            id: CommitId(Uuid::from_u128(id)),
            aggregate: None,
            effects: (0..rows).map(effect).collect(),
            bodies: Vec::new(),
            appends: (0..entries).map(append).collect(),
            now: NOW,
            bytes: 1,
        })
    }

    fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
        match future.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())) {
            task::Poll::Ready(done) => Some(done),
            task::Poll::Pending => None,
        }
    }

    const WAIT: Duration = Duration::from_secs(3600);

    /// Hands the job and, behind it, a commit to a writer that works step by step; says how many of its transactions
    /// came before and after the commit.
    fn steps_around_a_commit<T>(
        mut writer: Writer,
        work: impl FnOnce(oneshot::Sender<T>) -> Work,
        late: &Arc<RawCommit>,
    ) -> (u32, u32, T) {
        let (queue, inbox) = Queue::new(false);
        let mut jobs = Jobs::default();
        let mut long = Box::pin(queue.ask(work));
        assert!(poll(&mut long).is_none());
        let mut short = Box::pin(queue.commit(late, WAIT));
        assert!(poll(&mut short).is_none());
        let (mut before, mut after) = (0, 0);
        while poll(&mut short).map(|done| done.unwrap()).is_none() {
            assert!(poll(&mut long).is_none(), "the job ended first");
            writer.turn(&mut jobs, &inbox);
            before += 1;
        }
        loop {
            if let Some(done) = poll(&mut long) {
                return (before, after, done.unwrap());
            }
            writer.turn(&mut jobs, &inbox);
            after += 1;
        }
    }

    fn written(commit: &Arc<RawCommit>) -> Writer {
        let mut writer = writer();
        writer.write(std::slice::from_ref(commit)).remove(0).unwrap();
        writer
    }

    #[tokio::test]
    async fn commits_come_between_the_batches_of_housekeeping() {
        let writer = written(&commit(1, 5_000, 0));
        let work = |answer| Work::Housekeep { budget: WAIT, answer };
        let (before, after, report) = steps_around_a_commit(writer, work, &commit(2, 3, 0));
        assert!(before <= 2 && after >= 5, "{before} {after}");
        assert_eq!((report.rows, report.more), (5_003, false), "what the commit left is seen to as well");
    }

    #[tokio::test]
    async fn commits_come_between_the_batches_of_trimming() {
        let writer = written(&commit(1, 0, 5_000));
        let upto = EntryId::new(u64::MAX >> 4, writer.applier.node);
        let work = |answer| Work::Trim { log: log(), upto, answer };
        let (before, after, done) = steps_around_a_commit(writer, work, &commit(2, 1, 0));
        assert!(before <= 2 && after >= 5, "{before} {after}");
        assert_eq!(done, Ok(()));
    }

    /// Commits without end do not keep housekeeping from going on, nor does it keep the store from closing.
    #[tokio::test]
    async fn housekeeping_goes_on_beside_commits_and_ends_with_the_store() {
        let mut writer = written(&commit(1, 5_000, 0));
        let (queue, inbox) = Queue::new(false);
        let mut jobs = Jobs::default();
        let mut long = Box::pin(queue.ask(|answer| Work::Housekeep { budget: WAIT, answer }));
        assert!(poll(&mut long).is_none());
        for id in 2..6 {
            let late = commit(id, 0, 0);
            let mut short = Box::pin(queue.commit(&late, WAIT));
            assert!(poll(&mut short).is_none());
            writer.turn(&mut jobs, &inbox);
        }
        queue.close();
        while writer.turn(&mut jobs, &inbox) {}
        let report = poll(&mut long).unwrap().unwrap();
        assert!(report.more && (1_000..5_000).contains(&report.rows), "{report:?}");
    }

    /// Beside a long queue nothing is removed, but for one batch a second.
    #[tokio::test]
    async fn housekeeping_waits_while_the_queue_is_long() {
        let mut writer = written(&commit(1, 5_000, 0));
        let clock = Arc::new(ManualClock::at(NOW));
        writer.clock = Arc::<ManualClock>::clone(&clock);
        let (queue, inbox) = Queue::new(false);
        let mut jobs = Jobs::default();
        let mut long = Box::pin(queue.ask(|answer| Work::Housekeep { budget: WAIT, answer }));
        assert!(poll(&mut long).is_none());
        let large = |id| {
            let mut commit = Arc::unwrap_or_clone(commit(id, 0, 0));
            commit.bytes = GROUP_BYTES / 16;
            Arc::new(commit)
        };
        // Sixteen of them are a group by their bytes.
        let waiting: Vec<_> = (2..2 + 3 * SHORT as u128 / 4).map(large).collect();
        let small: Vec<_> = (500..500 + 3 * SHORT as u128).map(|id| commit(id, 0, 0)).collect();
        let mut callers: Vec<_> = Vec::new();
        for commit in waiting.iter().chain(&small) {
            let mut caller = Box::pin(queue.commit(commit, WAIT));
            assert!(poll(&mut caller).is_none());
            callers.push(caller);
        }
        let left = |writer: &Writer| {
            writer.conn().query_row("SELECT count(*) FROM plain", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert!(writer.turn(&mut jobs, &inbox), "takes the job, which begins");
        let begun = left(&writer);
        assert!((4_400..5_000).contains(&begun), "{begun}: at most 500 and a piece in one transaction");
        for _ in 0..2 {
            writer.turn(&mut jobs, &inbox);
            assert_eq!(left(&writer), begun);
        }
        assert_eq!(callers.iter_mut().filter_map(poll).count(), 32, "two groups");
        clock.advance(PATIENCE);
        writer.turn(&mut jobs, &inbox);
        assert!(left(&writer) < begun, "a second later a batch comes to its turn");
        while poll(&mut long).is_none() {
            writer.turn(&mut jobs, &inbox);
        }
        assert_eq!(left(&writer), 0);
    }

    /// Each log is a little work; a transaction of its own for each would be a lot.
    #[test]
    fn many_logs_share_a_transaction() {
        let writer = writer();
        writer
            .conn()
            .execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
                 INSERT INTO log_name (no, name, memory, due) SELECT i, CAST(i AS BLOB), 0, 1 FROM n",
            )
            .unwrap();
        let report = remove::expired(&writer.conn(), &*writer.clock, 2).unwrap();
        assert!(!report.more, "{report:?}");
    }
}
