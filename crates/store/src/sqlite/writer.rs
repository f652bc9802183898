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
    queue::{Inbox, Waiting, Work},
    reader, remove,
    schema::set_ceiling,
};
use crate::{
    CommitError, Committed, EntryId, LogRef, ReadError, engine::RawCommit, engine::Report, faults, watch::Feed,
};

/// Commits of one group.
const GROUP: usize = 512;
/// Bytes of one group.
const GROUP_BYTES: usize = 16 << 20;

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
    closed: bool,
}

/// Why a group was not committed.
enum Failure {
    /// The transaction could not begin: nothing happened, and commits one by one would fare no better.
    Begin(rusqlite::Error),
    /// `COMMIT` itself failed: it may or may not have happened.
    Commit(rusqlite::Error),
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
        let waiting = if jobs.waiting.is_empty() {
            inbox.works.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            inbox.works.try_recv()
        };
        match waiting {
            Ok(work) => {
                let job = match work {
                    Work::Commit(first) => self.group(first, inbox),
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
        if let Some(job) = jobs.waiting.pop_front()
            && let Some(unfinished) = self.go_on(job, jobs.closed)
        {
            jobs.waiting.push_back(unfinished);
        }
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
    fn group(&mut self, first: Waiting, inbox: &Inbox) -> Option<Work> {
        let mut bytes = first.commit.bytes;
        let mut group = vec![first];
        let mut other = None;
        while group.len() < GROUP && bytes < GROUP_BYTES {
            match inbox.works.try_recv() {
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
        faults::point("answered");
        other
    }

    fn write(&mut self, commits: &[Arc<RawCommit>]) -> Vec<Outcome> {
        match self.transaction(commits) {
            Ok(outcomes) => outcomes,
            Err(Failure::Begin(error)) => {
                tracing::error!(%error, "SQLite does not let us write");
                commits.iter().map(|_| Err(CommitError::unavailable())).collect()
            }
            Err(Failure::Statement(error)) if commits.len() > 1 => {
                tracing::warn!(%error, "a group of commits failed, now one by one");
                commits.iter().flat_map(|one| self.write(std::slice::from_ref(one))).collect()
            }
            Err(Failure::Statement(error)) => commits.iter().map(|commit| Err(refused(&error, commit))).collect(),
            Err(Failure::Commit(error)) => {
                tracing::error!(%error, "SQLite failed at the end of a commit");
                self.resolve(commits)
            }
        }
    }

    fn transaction(&mut self, commits: &[Arc<RawCommit>]) -> Result<Vec<Outcome>, Failure> {
        let conn = lock(&self.conn);
        conn.execute_batch("BEGIN IMMEDIATE").map_err(Failure::Begin)?;
        faults::point("begun");
        let mut wrote = false;
        let mut run = || {
            let mut outcomes = Vec::with_capacity(commits.len());
            for commit in commits {
                let outcome = self.applier.apply(&conn, commit)?;
                wrote |= outcome.as_ref().is_ok_and(|done| !done.repeated);
                outcomes.push(outcome);
            }
            let ceiling = self.applier.hybrid.ceiling_to_write();
            if let Some(ceiling) = ceiling {
                set_ceiling(&conn, ceiling)?;
            }
            Ok((outcomes, ceiling))
        };
        let (outcomes, ceiling) = run()
            .map_err(|error| {
                rollback(&conn);
                Failure::Statement(error)
            })
            .inspect_err(|_| self.applier.forget())?;
        faults::point("applied");
        if let Err(error) = conn.execute_batch("COMMIT") {
            rollback(&conn);
            self.applier.forget();
            // On a full disk a page of the log is missing, and with it the mark of the commit: SQLite goes on writing in its
            // place, and after a crash reads up to it.
            let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
            return Err(if full { Failure::Statement(error) } else { Failure::Commit(error) });
        }
        faults::point("committed");
        if let Some(ceiling) = ceiling {
            self.applier.hybrid.ceiling_written(ceiling);
        }
        if wrote {
            self.brake.wrote();
        }
        Ok(outcomes)
    }

    /// After `COMMIT` failed: opens the database anew, so that SQLite decides by its log what it holds; writes, so that
    /// nothing of the failed transaction can come back; and looks for the commits in the heads of their aggregates.
    fn resolve(&mut self, commits: &[Arc<RawCommit>]) -> Vec<Outcome> {
        let unknown = |commit: &RawCommit| Err(CommitError::OutcomeUnknown { id: commit.id });
        if let Err(error) = self.fence() {
            tracing::error!(%error, "SQLite could not be opened anew");
            return commits.iter().map(|commit| unknown(commit)).collect();
        }
        let conn = lock(&self.conn);
        let look = |commit: &Arc<RawCommit>| {
            let Some(aggregate) = &commit.aggregate else { return unknown(commit) };
            match reader::head(&conn, aggregate.kind, &aggregate.bytes) {
                Ok(head) if head.recent.iter().any(|(id, _)| *id == commit.id) => {
                    self.applier.apply(&conn, commit).unwrap_or_else(|_| unknown(commit))
                }
                Ok(_) => Err(CommitError::unavailable()),
                Err(_) => unknown(commit),
            }
        };
        commits.iter().map(look).collect()
    }

    fn fence(&mut self) -> Result<(), rusqlite::Error> {
        let mut conn = lock(&self.conn);
        if let Some(reopen) = &self.reopen {
            *conn = reopen()?;
        }
        let ceiling = self.applier.hybrid.ceiling_now(Duration::from_secs(10));
        set_ceiling(&conn, ceiling)?;
        self.applier.hybrid.ceiling_written(ceiling);
        Ok(())
    }

    /// Lets the log of SQLite begin from its start again, waiting for readers of older states.
    fn make_room(&self) {
        let done = self.conn().query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0));
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
        let clock = Arc::clone(&self.clock);
        let report = self.removal(|conn| remove::expired(conn, &*clock)).inspect_err(|error| {
            tracing::warn!(%error, "removing what has expired failed");
            sum.more = true;
        })?;
        sum.rows += report.rows;
        sum.entries += report.entries;
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
            faults::point("removed");
            conn.execute_batch("COMMIT").map(|()| report)
        });
        if done.is_err() {
            rollback(&conn);
        }
        // Names of logs may be gone.
        self.applier.forget();
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
        let meta = schema::prepare(&mut conn, &options).unwrap_or_else(|_| panic!("it is fresh"));
        Writer {
            conn: Arc::new(Mutex::new(conn)),
            reopen: None,
            applier: Applier::new(Hybrid::starting_at(Arc::clone(&clock) as Arc<dyn Clock>, meta.ceiling), meta.node),
            clock,
            feed: Feed::default(),
            brake: Arc::default(),
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
        let report = remove::expired(&writer.conn(), &*writer.clock).unwrap();
        assert!(!report.more, "{report:?}");
    }
}
