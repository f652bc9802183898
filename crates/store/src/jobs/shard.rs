//! The work on one shard, by the holder of its lease.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{sleep, timeout},
};
use tracing::Instrument;
use types::Timestamp;

use super::{
    kind::{Failed, Jobs},
    rules::{self, Fate, Outcome},
    tables::{CURSOR, Cursor, DUE, JOB, JobRow, PARKED, REVIVED, SHARD, STAGED, State},
    worker::Pass,
};
use crate::{Batch, Commit, EntryId, Held, LeaseError, ReadError, Store, Watch, limits};

/// Entries that are taken in by one commit.
const INTAKE: usize = 500;

/// A shard of jobs.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) store: Store,
    pub(super) jobs: Arc<Jobs>,
    pub(super) number: u8,
}

/// The lease of a shard, and what goes on under it.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) lease: Held,
    /// The last entry that was taken in, once it is known.
    cursor: Option<EntryId>,
    /// Steps under way. They go on while the store is away for a moment, as long as the lease lasts.
    running: Running,
    /// What steps came to that is not written down yet. It is before anything else is started, or they would run again.
    settled: Vec<(Ready, Fate)>,
}

impl Holding {
    pub(super) fn new(lease: Held) -> Self {
        Self { lease, cursor: None, running: Running::default(), settled: Vec::new() }
    }

    /// Breaks off what is under way once another may have the lease.
    pub(super) fn stop_in_time(&mut self) {
        if !self.lease.is_held() {
            self.running = Running::default();
        }
    }

    /// Breaks off what is under way.
    pub(super) fn into_lease(self) -> Held {
        self.lease
    }
}

/// A job whose step is due, or under way.
#[derive(Clone, Debug)]
struct Ready {
    at: Timestamp,
    id: Vec<u8>,
    row: JobRow,
}

/// Steps under way. Dropped, they are broken off.
#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<Outcome>,
    jobs: HashMap<Id, Ready>,
}

impl Shard {
    /// Runs what is due, until nothing is.
    pub(super) async fn work(&self, holding: &mut Holding, staged: &mut Watch) -> Result<Pass, LeaseError> {
        let mut steps = 0;
        loop {
            steps += self.write_down(holding).await?;
            self.take_in(holding).await?;
            let waits = self.start(holding).await?;
            if holding.running.tasks.is_empty() {
                let renewal = holding.lease.renewal().unwrap_or(limits::JOB_POLL);
                return Ok(Pass { steps, again: waits.unwrap_or(renewal).min(renewal).min(limits::JOB_POLL) });
            }
            tokio::select! {
                Some(ended) = holding.running.tasks.join_next_with_id() => self.settle(holding, ended),
                () = self.staged(staged) => {}
                // Keeps the lease, and looks for what has become due meanwhile.
                () = sleep(limits::LEASE / 3) => match holding.lease.renew(|_| {}).await {
                    Err(LeaseError::Commit(error)) if holding.lease.is_held() => {
                        tracing::warn!(shard = self.number, %error, "the lease of jobs is renewed later");
                    }
                    renewed => drop(renewed?),
                },
            }
        }
    }

    /// Waits until this process stages something in the shard.
    pub(super) async fn staged(&self, staged: &mut Watch) {
        let shard = STAGED.of(&self.number);
        loop {
            match staged.next().await {
                Some(appended) if appended.log == shard => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Takes what was staged into the rows.
    async fn take_in(&self, holding: &mut Holding) -> Result<(), LeaseError> {
        let log = self.store.log(&STAGED, &self.number);
        if holding.cursor.is_none() {
            let row = self.store.peek(SHARD.of(&self.number)).get(&CURSOR, &()).await.map_err(failed)?;
            holding.cursor = row.and_then(|row| EntryId::from_uuid(row.value.entry));
        }
        loop {
            let batch = log.read_after(holding.cursor, INTAKE).await.map_err(failed)?;
            if batch.next == holding.cursor {
                if holding.lease.renewal().is_some_and(|left| left.is_zero()) {
                    holding.lease.renew(|_| {}).await?;
                }
                return Ok(());
            }
            let (next, more) = (batch.next, batch.more);
            let fresh = self.fresh(batch).await.map_err(failed)?;
            holding.lease.renew(|commit| self.stage_intake(commit, next, fresh)).await?;
            holding.cursor = next;
            if let Some(upto) = next {
                self.forget(upto);
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Has entries that were taken in removed. Nobody waits for that, and if it fails the next time takes them along.
    fn forget(&self, upto: EntryId) {
        let log = self.store.log(&STAGED, &self.number);
        tokio::spawn(async move {
            if let Err(error) = log.trim(upto).await {
                tracing::debug!(%error, "jobs that were taken in are removed later");
            }
        });
    }

    /// The jobs of a batch that were not taken in before: an entry may come twice.
    async fn fresh(&self, batch: Batch) -> Result<Vec<(Vec<u8>, JobRow, Option<Timestamp>)>, ReadError> {
        let now = self.store.clock().now();
        let mut fresh = Vec::with_capacity(batch.entries.len());
        for (_, entry) in batch.entries {
            let (id, body) = (entry.key.to_vec(), entry.body.unwrap_or_default());
            if self.store.plain(&JOB, &self.number).get(&id).await?.is_some() {
                continue;
            }
            let (row, due) = match serde_json::from_slice(&body) {
                Ok(staged) => rules::fresh(staged, now),
                Err(error) => {
                    tracing::error!(shard = self.number, %error, "a job cannot be read and is parked");
                    (rules::unreadable(&body, &error.to_string(), now), now)
                }
            };
            let due = (row.state == State::Waiting).then_some(due);
            fresh.push((id, row, due));
        }
        Ok(fresh)
    }

    fn stage_intake(
        &self,
        commit: &mut Commit,
        next: Option<EntryId>,
        fresh: Vec<(Vec<u8>, JobRow, Option<Timestamp>)>,
    ) {
        if let Some(next) = next {
            commit.put(&CURSOR, &(), &Cursor { entry: next.uuid() });
        }
        for (id, row, due) in fresh {
            commit.effect_put(&JOB, &self.number, &id, &row);
            match due {
                Some(due) => commit.effect_put(&DUE, &self.number, &(due, id), &()),
                None => commit.effect_put(&PARKED, &self.number, &id, &()),
            };
        }
    }

    /// Starts the steps that are due, as far as there is room, and says how long until the next one is.
    async fn start(&self, holding: &mut Holding) -> Result<Option<Duration>, LeaseError> {
        let Holding { lease, running, .. } = holding;
        let now = self.store.clock().now();
        let first = self.store.plain(&DUE, &self.number).first(limits::JOBS_AT_ONCE + running.jobs.len() + 1).await;
        for ((at, id), _) in first.map_err(failed)? {
            if running.jobs.values().any(|ready| ready.id == id) {
                continue;
            }
            if at > now || running.tasks.len() >= limits::JOBS_AT_ONCE {
                return Ok(Some(at.since(now)));
            }
            if !lease.is_held() {
                lease.renew(|_| {}).await?;
            }
            let row = self.store.plain(&JOB, &self.number).get(&id).await.map_err(failed)?;
            match row.map(|row| row.value).filter(|row| row.state == State::Waiting) {
                Some(row) => running.start(&self.jobs, Ready { at, id, row }, now),
                // Nothing to run; something else left this behind.
                None => drop(lease.renew(|c| c.effect_delete(&DUE, &self.number, &(at, id))).await?),
            }
        }
        Ok(None)
    }

    /// Notes how steps ended: this one, and whatever else has ended meanwhile.
    fn settle(&self, holding: &mut Holding, ended: Result<(Id, Outcome), JoinError>) {
        let mut ended = Some(ended);
        while let Some(one) = ended {
            let (task, outcome) = one.unwrap_or_else(|error| (error.id(), panicked(&error)));
            if let Some(job) = holding.running.jobs.remove(&task) {
                holding.settled.push(self.fate(job, outcome));
            }
            ended = holding.running.tasks.try_join_next_with_id();
        }
    }

    /// Writes down how steps ended. Returns how many.
    async fn write_down(&self, holding: &mut Holding) -> Result<usize, LeaseError> {
        let Holding { lease, settled, .. } = holding;
        if settled.is_empty() {
            return Ok(0);
        }
        lease.renew(|commit| settled.iter().for_each(|one| self.stage_fate(commit, one))).await?;
        Ok(std::mem::take(settled).len())
    }

    fn fate(&self, mut job: Ready, outcome: Outcome) -> (Ready, Fate) {
        const PARTS: u32 = 1 << 16;
        let jitter = self.store.0.rng.below(u64::from(PARTS)) as f64 / f64::from(PARTS);
        let fate = rules::settle(&mut job.row, outcome, self.store.clock().now(), jitter);
        match (&fate, &job.row.error) {
            (Fate::Parked, Some(error)) => tracing::error!(kind = job.row.kind, error, "a job failed too often"),
            (_, Some(error)) => tracing::warn!(kind = job.row.kind, error, "a job's step failed and is tried again"),
            _ => {}
        }
        (job, fate)
    }

    fn stage_fate(&self, commit: &mut Commit, (job, fate): &(Ready, Fate)) {
        let (shard, id) = (&self.number, &job.id);
        let row = commit.effect_put(&JOB, shard, id, &job.row);
        let due = match *fate {
            Fate::Done(until) => {
                row.expires(until);
                None
            }
            Fate::Parked => {
                commit.effect_put(&PARKED, shard, id, &());
                None
            }
            Fate::Waiting(at) => Some(at),
        };
        if due.is_none() {
            commit.delete(&REVIVED, id);
        }
        if due != Some(job.at) {
            commit.effect_delete(&DUE, shard, &(job.at, id.clone()));
        }
        if let Some(at) = due {
            commit.effect_put(&DUE, shard, &(at, id.clone()), &());
        }
    }
}

impl Running {
    fn start(&mut self, jobs: &Jobs, mut ready: Ready, now: Timestamp) {
        let ended = rules::read_again(&mut ready.row, now);
        let work = jobs.work(&ready.row.kind);
        let (args, cursor) = (ready.row.args.clone(), ready.row.cursor.clone().map(|[cursor]| cursor));
        let span = tracing::info_span!("job", kind = ready.row.kind);
        let step = async move {
            if let Some(ended) = ended {
                return ended;
            }
            let Some(work) = work else { return Outcome::Unknown };
            let late = || Failed::new(format!("a step took longer than {:?}", limits::JOB_STEP));
            let ended = timeout(limits::JOB_STEP, work.step(args, cursor)).await;
            Outcome::Ended(ended.unwrap_or_else(|_| Err(late())))
        };
        let task = self.tasks.spawn(step.instrument(span));
        self.jobs.insert(task.id(), ready);
    }
}

/// A step that panicked has failed; what it said is in the log.
fn panicked(error: &JoinError) -> Outcome {
    Outcome::Ended(Err(Failed::new(format!("a step ended badly: {error}"))))
}

fn failed(error: ReadError) -> LeaseError {
    LeaseError::Commit(error.into())
}
