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
    tables::{CURSOR, Cursor, DUE, JOB, JobRow, PARKED, SHARD, STAGED, Staged, State},
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

/// The lease of a shard.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) lease: Held,
    /// The last entry that was taken in, once it is known.
    pub(super) cursor: Option<EntryId>,
}

/// A job whose step is due, or under way.
#[derive(Clone, Debug)]
struct Ready {
    at: Timestamp,
    id: Vec<u8>,
    row: JobRow,
}

/// Steps under way. Dropped, they are broken off.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Outcome>,
    jobs: HashMap<Id, Ready>,
}

impl Shard {
    /// Runs what is due, until nothing is.
    pub(super) async fn work(&self, holding: &mut Holding, staged: &mut Watch) -> Result<Pass, LeaseError> {
        let (mut running, mut steps) = (Running::default(), 0);
        loop {
            self.take_in(holding).await?;
            let waits = self.start(holding, &mut running).await?;
            if running.tasks.is_empty() {
                let renewal = holding.lease.renewal().unwrap_or(limits::JOB_POLL);
                return Ok(Pass { steps, again: waits.unwrap_or(renewal).min(renewal).min(limits::JOB_POLL) });
            }
            tokio::select! {
                Some(ended) = running.tasks.join_next_with_id() => {
                    steps += self.write_down(holding, &mut running, ended).await?;
                }
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
                log.trim(upto).await.map_err(failed)?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// The jobs of a batch that were not taken in before: an entry may come twice.
    async fn fresh(&self, batch: Batch) -> Result<Vec<(Vec<u8>, Staged)>, ReadError> {
        let mut fresh = Vec::with_capacity(batch.entries.len());
        for (_, entry) in batch.entries {
            let (id, body) = (entry.key.to_vec(), entry.body.unwrap_or_default());
            if self.store.plain(&JOB, &self.number).get(&id).await?.is_some() {
                continue;
            }
            match serde_json::from_slice(&body) {
                Ok(staged) => fresh.push((id, staged)),
                // Entries are written by this crate and guarded by a sum; a later format would be no reason to stop all.
                Err(error) => tracing::error!(shard = self.number, %error, "a job that cannot be read is left out"),
            }
        }
        Ok(fresh)
    }

    fn stage_intake(&self, commit: &mut Commit, next: Option<EntryId>, fresh: Vec<(Vec<u8>, Staged)>) {
        let now = self.store.clock().now();
        if let Some(next) = next {
            commit.put(&CURSOR, &(), &Cursor { entry: next.uuid() });
        }
        for (id, staged) in fresh {
            let (row, due) = rules::fresh(staged, now);
            commit.effect_put(&JOB, &self.number, &id, &row);
            commit.effect_put(&DUE, &self.number, &(due, id), &());
        }
    }

    /// Starts the steps that are due, as far as there is room, and says how long until the next one is.
    async fn start(&self, holding: &mut Holding, running: &mut Running) -> Result<Option<Duration>, LeaseError> {
        let now = self.store.clock().now();
        let first = self.store.plain(&DUE, &self.number).first(limits::JOBS_AT_ONCE + running.jobs.len() + 1).await;
        for ((at, id), _) in first.map_err(failed)? {
            if running.jobs.values().any(|ready| ready.id == id) {
                continue;
            }
            if at > now || running.tasks.len() >= limits::JOBS_AT_ONCE {
                return Ok(Some(at.since(now)));
            }
            if !holding.lease.is_held() {
                holding.lease.renew(|_| {}).await?;
            }
            let row = self.store.plain(&JOB, &self.number).get(&id).await.map_err(failed)?;
            match row.map(|row| row.value).filter(|row| row.state == State::Waiting) {
                Some(row) => running.start(&self.jobs, Ready { at, id, row }),
                // Of a job that was revived twice at once.
                None => drop(holding.lease.renew(|c| c.effect_delete(&DUE, &self.number, &(at, id))).await?),
            }
        }
        Ok(None)
    }

    /// Writes down how steps ended: this one, and whatever else has ended meanwhile. Returns how many.
    async fn write_down(
        &self,
        holding: &mut Holding,
        running: &mut Running,
        ended: Result<(Id, Outcome), JoinError>,
    ) -> Result<usize, LeaseError> {
        let mut settled = Vec::new();
        let mut ended = Some(ended);
        while let Some(one) = ended {
            let (task, outcome) = one.unwrap_or_else(|error| (error.id(), panicked(&error)));
            if let Some(job) = running.jobs.remove(&task) {
                settled.push(self.settle(job, outcome));
            }
            ended = running.tasks.try_join_next_with_id();
        }
        holding.lease.renew(|commit| settled.iter().for_each(|one| self.stage_fate(commit, one))).await?;
        Ok(settled.len())
    }

    fn settle(&self, mut job: Ready, outcome: Outcome) -> (Ready, Fate) {
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
        if due != Some(job.at) {
            commit.effect_delete(&DUE, shard, &(job.at, id.clone()));
        }
        if let Some(at) = due {
            commit.effect_put(&DUE, shard, &(at, id.clone()), &());
        }
    }
}

impl Running {
    fn start(&mut self, jobs: &Jobs, ready: Ready) {
        let work = jobs.work(&ready.row.kind);
        let (args, cursor) = (ready.row.args.clone(), ready.row.cursor.clone());
        let span = tracing::info_span!("job", kind = ready.row.kind);
        let step = async move {
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
