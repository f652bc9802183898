//! Jobs: run if their commit was done, from step to step, whatever dies in between.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use store::{
    Commit, CommitError, CommitId, Committed, Failed, JobKind, JobWorker, Jobs, Json, ReadError, Step, Store, Work,
    engine::{Engine, Forward, RawBody, RawCommit, RowPage, RowQuery},
    limits::{JOB_ARGS, JOB_FAILURES, JOB_MEMORY, JOB_PAUSE_MOST, LEASE, Limit},
};
use tokio::sync::{Notify, oneshot};
use types::Clock;
use uuid::Uuid;

use crate::{
    bench::{Bench, COUNT, Kind, THING, entry, eventually, rounds},
    killed::{killed, shared},
    unsure::{Fate, unsure},
};

/// Counts a thing up to a number, one a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Upto {
    thing: u64,
    to: u64,
}

const COUNT_UP: JobKind<Upto, u64> = JobKind::new("count-up");

/// How often each step was run, by thing and number.
type Ran = Arc<Mutex<HashMap<(u64, u64), usize>>>;

struct CountUp {
    store: Store,
    ran: Ran,
}

impl Work for CountUp {
    type Args = Upto;
    type Cursor = u64;

    async fn step(&self, Upto { thing, to }: Upto, cursor: Option<u64>) -> Result<Step<u64>, Failed> {
        let next = cursor.unwrap_or(0) + 1;
        *self.ran.lock().unwrap().entry((thing, next)).or_default() += 1;
        let counted = self.store.update(THING.of(&thing), |view| async move {
            let count = view.get(&COUNT, &()).await?.map_or(0, |row| row.value.0);
            if count >= next {
                return Ok::<_, store::ReadError>((Commit::free(), ()));
            }
            let mut commit = Commit::on(&view);
            commit.put(&COUNT, &(), &Json(next));
            commit.append(&crate::bench::OWED, &thing, entry(next.to_string()));
            Ok((commit, ()))
        });
        counted.await?;
        Ok(if next < to { Step::Next(next) } else { Step::Done })
    }
}

fn counting(store: &Store, ran: &Ran) -> Vec<JobWorker> {
    let work = CountUp { store: store.clone(), ran: Arc::clone(ran) };
    store.job_workers(Jobs::new().with(&COUNT_UP, work))
}

async fn stage(bench: &Bench, args: Upto, after: Option<Duration>) {
    let at = after.map(|after| bench.clock.now() + after);
    let commit = || {
        let mut commit = Commit::free();
        commit.job(&COUNT_UP, &args, at);
        commit
    };
    bench.sure(commit).await;
}

/// Every worker once, as far as it comes. Returns the number of steps.
async fn pass(workers: &mut [JobWorker]) -> usize {
    let mut steps = 0;
    for worker in workers {
        if let Ok(pass) = worker.pass().await {
            steps += pass.steps;
        }
    }
    steps
}

/// Passes until something is so, a second each.
async fn until(bench: &Bench, workers: &mut [JobWorker], mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if so().await {
            return;
        }
        pass(workers).await;
        bench.clock.advance(Duration::from_secs(1));
    }
    panic!("it never came to that");
}

/// Killed at any call, in the work or around it, before or after it was carried out: whoever comes next goes on from there,
/// and no step is done but by those two.
pub async fn job_resumes(bench: Bench) {
    const TO: u64 = 3;
    let mut thing = 1000;
    for after in [false, true] {
        for kill_at in 0.. {
            thing += 1;
            stage(&bench, Upto { thing, to: TO }, None).await;
            let ran = Ran::default();
            let mut dying = counting(&killed(&bench.store, kill_at, after), &ran);
            pass(&mut dying).await;
            let lived = bench.count(thing).await == Some(TO) && pass(&mut dying).await == 0;
            drop(dying);

            let mut next = counting(&shared(&bench.store), &ran);
            until(&bench, &mut next, async || bench.count(thing).await == Some(TO)).await;
            pass(&mut next).await;
            assert_eq!(bench.texts(&bench.owed(thing)).await, ["1", "2", "3"], "killed at {kill_at}");
            for ((_, step), times) in ran.lock().unwrap().iter() {
                assert!((1..=2).contains(times), "killed at {kill_at}: step {step} was run {times} times");
            }
            for worker in next {
                worker.release().await;
            }
            if lived && kill_at > 60 {
                break;
            }
        }
    }
}

/// Not before its time, then at once, and once.
pub async fn timer_fires_once_due(bench: Bench) {
    let ran = Ran::default();
    let mut workers = counting(&bench.store, &ran);
    const MINUTE: Duration = Duration::from_secs(60);
    for thing in 0..20 {
        stage(&bench, Upto { thing, to: 1 }, Some(MINUTE)).await;
    }
    assert_eq!(pass(&mut workers).await, 0);
    bench.clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(pass(&mut workers).await, 0);
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(pass(&mut workers).await, 20);
    for _ in 0..10 {
        bench.clock.advance(JOB_MEMORY / 5);
        bench.store.housekeep(MINUTE).await;
        assert_eq!(pass(&mut workers).await, 0);
    }
    // What is done is not even remembered any more.
    assert!(ran.lock().unwrap().values().all(|times| *times == 1));
    for worker in workers {
        worker.release().await;
    }
    rivals(&bench).await;
}

/// Several processes at once: one of them runs it.
async fn rivals(bench: &Bench) {
    let ran = Ran::default();
    let mut rivals: Vec<_> = (0..4).map(|_| counting(&shared(&bench.store), &ran)).collect();
    for thing in 100..100 + rounds(40) as u64 {
        stage(bench, Upto { thing, to: 1 }, Some(Duration::from_secs(thing % 10))).await;
        let mut passes = tokio::task::JoinSet::new();
        for mut workers in std::mem::take(&mut rivals) {
            passes.spawn(async move {
                pass(&mut workers).await;
                workers
            });
        }
        rivals = passes.join_all().await;
        bench.clock.advance(Duration::from_secs(1));
    }
    let last = 99 + rounds(40) as u64;
    for workers in &mut rivals {
        // The last one may come before others, which another shard has.
        until(bench, workers, async || {
            for thing in 100..=last {
                if bench.count(thing).await != Some(1) {
                    return false;
                }
            }
            true
        })
        .await;
    }
    let ran = ran.lock().unwrap();
    assert!(ran.len() == rounds(40) && ran.values().all(|times| *times == 1), "{ran:?}");
}

/// A commit that is not done leaves no job behind.
pub async fn job_only_if_committed(bench: Bench) {
    let view = bench.view(1).await;
    bench.set(1, |_| {}).await;
    let mut late = Commit::on(&view);
    late.job(&COUNT_UP, &Upto { thing: 7, to: 1 }, None);
    assert_eq!(bench.store.commit(late).await, Err(CommitError::Conflict));

    let mut vast = Commit::free();
    vast.job(&JobKind::<String>::new("vast"), &"x".repeat(JOB_ARGS), None);
    assert_eq!(bench.store.commit(vast).await, Err(CommitError::TooLarge { what: Limit::JobArgs }));

    let ran = Ran::default();
    assert_eq!(pass(&mut counting(&bench.store, &ran)).await, 0);
    assert!(ran.lock().unwrap().is_empty());
}

/// A commit whose outcome nobody told is sent again and done again where no aggregate recognises it; so may an entry of a
/// log come twice. It is one job, also when it was done in between.
pub async fn job_entry_twice_is_one_job(bench: Bench) {
    let ran = Ran::default();
    let mut workers = counting(&bench.store, &ran);
    for round in 0..3 {
        for _ in 0..2 {
            let mut commit = Commit::free().id(CommitId(Uuid::from_u128(7)));
            commit.job(&COUNT_UP, &Upto { thing: 7, to: 2 }, None);
            bench.store.commit(commit).await.unwrap();
        }
        assert_eq!(pass(&mut workers).await, if round == 0 { 2 } else { 0 });
    }
}

/// Fails until it may not any more, and once by panicking.
struct Failing(Arc<Mutex<bool>>);

impl Work for Failing {
    type Args = String;
    type Cursor = ();

    async fn step(&self, args: String, _: Option<()>) -> Result<Step<()>, Failed> {
        if *self.0.lock().unwrap() { Err(Failed::new(format!("{args}: no"))) } else { Ok(Step::Done) }
    }
}

struct Panicking;

impl Work for Panicking {
    type Args = ();
    type Cursor = ();

    async fn step(&self, (): (), _: Option<()>) -> Result<Step<()>, Failed> {
        panic!("the step of a test")
    }
}

/// What fails is tried again, later each time, then shown to the operator, and goes on when he says so.
pub async fn failing_job_is_parked(bench: Bench) {
    const FAIL: JobKind<String> = JobKind::new("fail");
    const PANIC: JobKind<()> = JobKind::new("panic");
    const UNKNOWN: JobKind<()> = JobKind::new("of a newer release");
    let stage = || {
        let mut commit = Commit::free();
        commit.job(&FAIL, &"why".to_owned(), None);
        commit.job(&PANIC, &(), None);
        commit.job(&UNKNOWN, &(), None);
        commit
    };
    bench.sure(stage).await;
    let fails = Arc::new(Mutex::new(true));
    let jobs = Jobs::new().with(&FAIL, Failing(Arc::clone(&fails))).with(&PANIC, Panicking);
    let mut workers = bench.store.job_workers(jobs);
    let started = bench.clock.now();
    assert_eq!(pass(&mut workers).await, 3);
    assert_eq!(pass(&mut workers).await, 0, "not again at once");
    for n in 1..JOB_FAILURES {
        assert_eq!(bench.store.parked_jobs(10).await.unwrap(), [], "after {n} failures");
        bench.clock.advance(JOB_PAUSE_MOST * 3 / 2);
        pass(&mut workers).await;
    }
    let mut parked = bench.store.parked_jobs(10).await.unwrap();
    parked.sort_by(|a, b| a.kind.cmp(&b.kind));
    let shown: Vec<_> = parked.iter().map(|job| (job.kind.as_str(), job.since)).collect();
    assert_eq!(shown, [("fail", started), ("panic", started)], "what nobody knows here is not held against it");
    assert_eq!((parked[0].error.as_str(), parked[0].args.as_str()), ("why: no", Some("why")));
    assert!(parked[1].error.contains("panic"), "{}", parked[1].error);

    *fails.lock().unwrap() = false;
    bench.clock.advance(JOB_PAUSE_MOST * 3 / 2);
    assert_eq!(pass(&mut workers).await, 1, "only the one that nobody knows");
    let id = parked[0].id.to_string().parse().unwrap();
    // Twice at once is once.
    let revived = tokio::join!(bench.store.revive_job(&id), bench.store.revive_job(&id));
    let revived = [revived.0.unwrap(), revived.1.unwrap()];
    assert_eq!(revived.iter().filter(|done| **done).count(), 1);
    assert_eq!(pass(&mut workers).await, 1);
    assert!(!bench.store.revive_job(&id).await.unwrap());
    assert_eq!(bench.store.parked_jobs(10).await.unwrap().len(), 1);
}

/// A release that writes another word for the kind of a job, or one that reads that word too.
struct Worded {
    engine: Arc<dyn Engine>,
    newer: bool,
}

#[async_trait]
impl Forward for Worded {
    fn inner(&self) -> &dyn Engine {
        &*self.engine
    }

    async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        let mut commit = RawCommit::clone(commit);
        for append in &mut commit.appends {
            if let (RawBody::Inline(body), false) = (&append.body, self.newer) {
                let text = String::from_utf8_lossy(body).replace("\"kind\"", "\"sort\"");
                append.body = RawBody::Inline(text.into());
            }
        }
        self.engine.commit(&Arc::new(commit), deadline).await
    }

    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        let mut page = self.engine.rows(query).await?;
        for json in page.rows.iter_mut().filter_map(|row| row.cell.json.as_mut()).filter(|_| self.newer) {
            *json = json.replace("\\\"sort\\\"", "\\\"kind\\\"");
        }
        Ok(page)
    }
}

/// A job whose entry cannot be read is shown to the operator, and a release that can read it runs it once it is revived.
#[tokio::test]
async fn an_unreadable_job_is_read_again() {
    let bench = Bench::new(Kind::File);
    let worded = |newer| bench.store.wrapped(|engine| Arc::new(Worded { engine, newer }));
    let (older, newer, ran) = (worded(false), worded(true), Ran::default());
    let mut commit = Commit::free();
    commit.job(&COUNT_UP, &Upto { thing: 1, to: 2 }, None);
    older.commit(commit).await.unwrap();
    let mut workers = counting(&bench.store, &ran);
    assert_eq!(pass(&mut workers).await, 0);
    let parked = |jobs: Vec<store::ParkedJob>| match &jobs[..] {
        [job] if job.error.contains("it cannot be read: missing field `kind`") => job.id.clone(),
        _ => panic!("{jobs:?}"),
    };
    let id = parked(bench.store.parked_jobs(10).await.unwrap());
    // This release does not fare better the second time, and says so again.
    assert!(bench.store.revive_job(&id).await.unwrap());
    pass(&mut workers).await;
    assert_eq!(parked(bench.store.parked_jobs(10).await.unwrap()), id);
    for worker in workers {
        worker.release().await;
    }
    assert!(newer.revive_job(&id).await.unwrap());
    let mut workers = counting(&newer, &ran);
    assert_eq!(pass(&mut workers).await, 2);
    assert_eq!((bench.count(1).await, newer.parked_jobs(10).await.unwrap()), (Some(2), Vec::new()));
}

/// Goes on from nothing, once.
struct FromNothing;

impl Work for FromNothing {
    type Args = ();
    type Cursor = ();

    async fn step(&self, (): (), cursor: Option<()>) -> Result<Step<()>, Failed> {
        Ok(if cursor.is_none() { Step::Next(()) } else { Step::Done })
    }
}

/// What a step hands on is told from the beginning, even if there is nothing in it.
pub async fn cursor_may_be_nothing(bench: Bench) {
    const TWO_STEPS: JobKind<()> = JobKind::new("two-steps");
    bench
        .sure(|| {
            let mut commit = Commit::free();
            commit.job(&TWO_STEPS, &(), None);
            commit
        })
        .await;
    let mut workers = bench.store.job_workers(Jobs::new().with(&TWO_STEPS, FromNothing));
    assert_eq!(pass(&mut workers).await, 2);
}

/// The store is away at the moment when the end of a step is to be written down: the step is not run again for that.
pub async fn ended_step_is_remembered(bench: Bench) {
    let (ran, away) = (Ran::default(), AtomicUsize::new(0));
    let store = unsure(&bench.store, {
        let ran = Arc::clone(&ran);
        move |_, commit| {
            let of_jobs = commit.aggregate.as_ref().is_some_and(|aggregate| aggregate.kind == "jobs");
            let ended = of_jobs && !ran.lock().unwrap().is_empty();
            if ended && away.fetch_add(1, Ordering::SeqCst) < 3 { Fate::Overtaken } else { Fate::Told }
        }
    });
    let work = CountUp { store: bench.store.clone(), ran: Arc::clone(&ran) };
    let mut workers = store.job_workers(Jobs::new().with(&COUNT_UP, work));
    stage(&bench, Upto { thing: 1, to: 1 }, None).await;
    let mut steps = 0;
    for _ in 0..6 {
        steps += pass(&mut workers).await;
    }
    assert_eq!((steps, ran.lock().unwrap()[&(1, 1)]), (1, 1));
}

/// Waits in each step until it is let go.
struct Gated {
    entered: Arc<Notify>,
    leave: Arc<Notify>,
}

impl Work for Gated {
    type Args = ();
    type Cursor = u64;

    async fn step(&self, (): (), cursor: Option<u64>) -> Result<Step<u64>, Failed> {
        self.entered.notify_one();
        self.leave.notified().await;
        Ok(if cursor.is_none() { Step::Next(1) } else { Step::Done })
    }
}

/// Who was stopped in a step and lost the lease writes nothing of it down.
pub async fn stopped_worker_moves_nothing(bench: Bench) {
    const GATED: JobKind<(), u64> = JobKind::new("gated");
    bench
        .sure(|| {
            let mut commit = Commit::free();
            commit.job(&GATED, &(), None);
            commit
        })
        .await;
    let gate = || (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let workers = |(entered, leave): &(Arc<Notify>, Arc<Notify>)| {
        let work = Gated { entered: Arc::clone(entered), leave: Arc::clone(leave) };
        shared(&bench.store).job_workers(Jobs::new().with(&GATED, work))
    };
    let (first, second) = (gate(), gate());
    let (mut stopped, mut next) = (workers(&first), workers(&second));
    let stopped = tokio::spawn(async move {
        let steps = pass(&mut stopped).await;
        (steps, stopped)
    });
    first.0.notified().await;

    // Another finds the lease unchanged for long enough, runs the first step too, and comes to the second.
    second.1.notify_one();
    let clock = Arc::clone(&bench.clock);
    let overtaken = tokio::spawn(async move {
        pass(&mut next).await;
        clock.advance(LEASE * 2);
        pass(&mut next).await
    });
    second.0.notified().await;
    second.0.notified().await;

    first.1.notify_one();
    let (steps, mut stopped) = stopped.await.unwrap();
    assert_eq!(steps, 0, "its step came to nothing");
    assert_eq!(pass(&mut stopped).await, 0, "the work is another's");
    second.1.notify_one();
    assert_eq!(overtaken.await.unwrap(), 2);
}

/// A worker that runs by itself is woken by what is staged, and gives its shard up when it is told to stop.
pub async fn worker_wakes_and_leaves(bench: Bench) {
    let ran = Ran::default();
    for round in 0..3 {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = futures_util::FutureExt::shared(async move { drop(stopped.await) });
        let store = shared(&bench.store);
        let mut running = tokio::task::JoinSet::new();
        for worker in counting(&store, &ran) {
            running.spawn(worker.run(stopped.clone()));
        }
        for thing in round * 10..round * 10 + 8 {
            stage(&bench, Upto { thing, to: 2 }, None).await;
        }
        for thing in round * 10..round * 10 + 8 {
            eventually("it is done", async || bench.count(thing).await == Some(2)).await;
        }
        drop(stop);
        running.join_all().await;
        // No clock has moved: who comes next need not wait for a lease to lapse.
    }
}
