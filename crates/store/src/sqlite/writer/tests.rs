use std::{future::Future, pin::Pin, task};

use bytes::Bytes;
use types::{ManualClock, SeededRng, Timestamp};
use uuid::Uuid;

use super::{group::GROUP_BYTES, *};
use crate::{
    Cell, CommitId,
    engine::{RawAppend, RawBody, RawCommit, RawEffect, RawPut},
    hybrid::Hybrid,
    sqlite::{
        queue::{Answer, Queue},
        schema,
    },
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
        fresh: u64::MAX,
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
fn steps_around_a_commit<T: Send + 'static>(
    mut writer: Writer,
    work: impl FnOnce(Answer<T>) -> Work,
    late: &Arc<RawCommit>,
) -> (u32, u32, T) {
    let (queue, inbox) = Queue::new(false);
    let mut jobs = Jobs::default();
    let mut long = Box::pin(queue.ask(WAIT, work));
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
    let mut long = Box::pin(queue.ask(WAIT, |answer| Work::Housekeep { budget: WAIT, answer }));
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
    let mut long = Box::pin(queue.ask(WAIT, |answer| Work::Housekeep { budget: WAIT, answer }));
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

/// Entries that are not moved yet.
fn fresh(writer: &Writer) -> i64 {
    writer.conn().query_row("SELECT count(*) FROM fresh", [], |row| row.get(0)).unwrap()
}

/// Entries of all logs, in both tables.
fn entries(writer: &Writer) -> i64 {
    let both = "SELECT count(DISTINCT pos) FROM (SELECT pos FROM log UNION ALL SELECT pos FROM fresh)";
    writer.conn().query_row(both, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn commits_come_between_the_batches_of_moving() {
    let mut writer = written(&commit(1, 0, 5_000));
    writer.fresh = 4_999;
    let (queue, inbox) = Queue::new(false);
    let mut jobs = Jobs::default();
    let mut turns = 0;
    for id in 2..6 {
        let late = commit(id, 1, 0);
        let mut short = Box::pin(queue.commit(&late, WAIT));
        assert!(poll(&mut short).is_none());
        writer.turn(&mut jobs, &inbox);
        assert!(poll(&mut short).is_some_and(|done| done.is_ok()));
        turns += 1;
        assert_eq!(fresh(&writer), 5_000 - 500 * turns, "one batch beside each");
    }
    // When nothing comes any more it goes on by itself to the end of the round, and then waits for work.
    while writer.state.fresh.is_due(writer.fresh) {
        writer.turn(&mut jobs, &inbox);
    }
    assert_eq!((fresh(&writer), entries(&writer)), (0, 5_000));
    queue.close();
    assert!(!writer.turn(&mut jobs, &inbox));
}

/// Beside a long queue nothing is moved until there is twice as much as should be; then there is no more than that.
#[tokio::test]
async fn moving_waits_while_the_queue_is_long_but_not_for_ever() {
    let mut writer = written(&commit(1, 0, 1_500));
    writer.fresh = 1_000;
    let (queue, inbox) = Queue::new(false);
    let mut jobs = Jobs::default();
    let large = |id| {
        let mut commit = Arc::unwrap_or_clone(commit(id, 0, 100));
        commit.bytes = GROUP_BYTES / 4;
        Arc::new(commit)
    };
    // Four of them are a group by their bytes; what comes behind makes the queue long.
    let waiting: Vec<_> = (2..14).map(large).collect();
    let small: Vec<_> = (500..500 + 3 * SHORT as u128).map(|id| commit(id, 0, 0)).collect();
    let mut callers: Vec<_> = Vec::new();
    for commit in waiting.iter().chain(&small) {
        let mut caller = Box::pin(queue.commit(commit, WAIT));
        assert!(poll(&mut caller).is_none());
        callers.push(caller);
    }
    writer.turn(&mut jobs, &inbox);
    assert_eq!(fresh(&writer), 1_900, "not twice as many yet");
    let mut most = 0;
    for _ in 0..2 {
        writer.turn(&mut jobs, &inbox);
        most = most.max(fresh(&writer));
    }
    assert_eq!(most, 1_900 + 400 - 500, "one batch was enough each time");
    assert_eq!((fresh(&writer), entries(&writer)), (1_700, 1_500 + 1_200));
}

/// While a round is under way a log ends, and its number becomes another's.
#[test]
fn a_round_begins_each_log_at_its_front() {
    let mut writer = written(&commit(1, 0, 5_000));
    writer.fresh = 4_999;
    writer.merge(true);
    assert_eq!(fresh(&writer), 4_500, "it stops in the midst of the log");
    let (node, clock) = (writer.applier.node, Arc::clone(&writer.clock));
    let upto = EntryId::new(u64::MAX >> 4, node);
    while writer.removal(|conn| remove::trimmed(conn, node, &log(), upto, &*clock)).unwrap().more {}
    assert_eq!((fresh(&writer), entries(&writer)), (0, 0));
    writer.write(&[commit(2, 0, 600)]).remove(0).unwrap();
    while writer.state.fresh.is_due(writer.fresh) {
        writer.merge(true);
        let behind = "SELECT count(*) FROM log, fresh WHERE log.pos >> 32 = fresh.pos >> 32 AND log.pos >= fresh.pos";
        assert_eq!(writer.conn().query_row(behind, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }
    assert_eq!(entries(&writer), 600);
}

/// Who was answered together comes back together: the first of them waits a moment for the others.
#[tokio::test]
async fn a_group_waits_for_those_who_were_answered_together() {
    let mut writer = writer();
    let (queue, inbox) = Queue::new(false);
    let mut next = None;
    let commits: Vec<_> = (1..4).map(|id| commit(id, 1, 0)).collect();
    let mut callers: Vec<_> = commits.iter().map(|commit| Box::pin(queue.commit(commit, WAIT))).collect();
    let [first, second, third] = &mut callers[..] else { panic!("three") };
    let mut group = |writer: &mut Writer, rest: &mut dyn FnMut(Duration)| {
        let Ok(Work::Commit(waiting)) = inbox.works.try_recv() else { panic!("a commit waits") };
        writer.group(waiting, &inbox, &mut next, rest);
    };
    assert!(poll(first).is_none());
    group(&mut writer, &mut |_| panic!("nobody came with it before"));
    assert!(poll(first).is_some());
    writer.state.pace = group::Pace { commits: 2, took: Duration::from_micros(400) };
    assert!(poll(second).is_none());
    group(&mut writer, &mut |rest| {
        assert_eq!(rest, Duration::from_micros(100));
        assert!(poll(third).is_none());
    });
    assert!(poll(second).is_some() && poll(third).is_some(), "both were of the group");
}

/// How large a group was and how long it took is remembered where that says something of the disk.
#[tokio::test]
async fn the_pace_is_that_of_the_last_group_on_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer();
    for on_disk in [false, true] {
        let count = crate::sqlite::counter::Count { node: writer.applier.node, commits: 0 };
        writer.counter = on_disk.then(|| Counter::start(folder.path(), count).unwrap());
        let (queue, inbox) = Queue::new(false);
        let commits: Vec<_> = (1..4).map(|id| commit(id, 1, 0)).collect();
        let mut callers: Vec<_> = commits.iter().map(|commit| Box::pin(queue.commit(commit, WAIT))).collect();
        assert!(callers.iter_mut().all(|caller| poll(caller).is_none()));
        writer.turn(&mut Jobs::default(), &inbox);
        assert_eq!(writer.state.pace.commits, if on_disk { 3 } else { 0 });
    }
}
