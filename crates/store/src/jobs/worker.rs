//! What works jobs off.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    kind::Jobs,
    shard::{Holding, Shard},
    tables::{LEASE, STAGED},
};
use crate::{CommitError, Contender, LeaseError, Look, ReadError, Store, Watch, limits};

/// Works off the jobs of one shard, when no other worker does. A process that does so has one for each shard.
#[derive(Debug)]
pub struct JobWorker {
    shard: Shard,
    staged: Watch,
    stand: Stand,
}

/// Where a worker is with the lease of its shard.
#[derive(Debug)]
enum Stand {
    Holding(Holding),
    Wanting(Contender),
}

/// What [`JobWorker::pass`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Steps that were run, those that failed among them.
    pub steps: usize,
    /// When to come again at the latest. Something staged by this process is a reason to come earlier.
    pub again: Duration,
}

impl Store {
    /// A worker for each shard of jobs.
    pub fn job_workers(&self, jobs: Jobs) -> Vec<JobWorker> {
        let jobs = Arc::new(jobs);
        let worker = |number| JobWorker {
            shard: Shard { store: self.clone(), jobs: Arc::clone(&jobs), number },
            staged: self.watch(&STAGED),
            stand: Stand::Wanting(self.contend(&LEASE, &number)),
        };
        (0..limits::JOB_SHARDS).map(worker).collect()
    }
}

impl JobWorker {
    /// Works until `stop`, then breaks off what is under way and gives the shard up.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        loop {
            let again = tokio::select! {
                biased;
                () = &mut stop => break,
                pass = self.pass() => match pass {
                    Ok(pass) => pass.again,
                    Err(error) => {
                        tracing::warn!(shard = self.shard.number, %error, "jobs are not worked off now");
                        limits::RETRY_AFTER
                    }
                },
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.shard.staged(&mut self.staged) => {}
                () = sleep(again) => {}
            }
        }
        self.release().await;
    }

    /// Runs every step that is due by now, if the shard is this worker's or becomes so, and says when to come again.
    ///
    /// # Errors
    /// See [`CommitError`]. Nothing is lost; come again after a while.
    pub async fn pass(&mut self) -> Result<Pass, CommitError> {
        if let Some(again) = self.wait_for_lease().await? {
            return Ok(Pass { steps: 0, again });
        }
        // The lease stays where `release` finds it, also when this is dropped in the middle.
        let Stand::Holding(holding) = &mut self.stand else { return Ok(Pass { steps: 0, again: limits::LEASE_RETRY }) };
        match self.shard.work(holding, &mut self.staged).await {
            Ok(pass) => Ok(pass),
            Err(LeaseError::Commit(error)) => {
                holding.stop_in_time();
                Err(error)
            }
            Err(LeaseError::Lost) => {
                self.stand = Stand::Wanting(holding.lease.contender().clone());
                Ok(Pass { steps: 0, again: limits::LEASE_RETRY })
            }
        }
    }

    /// Gives the shard up, so that the next worker need not wait.
    pub async fn release(self) {
        let released = match self.stand {
            Stand::Holding(holding) => holding.into_lease().release().await,
            Stand::Wanting(contender) => contender.release().await,
        };
        if let Err(error) = released {
            tracing::debug!(shard = self.shard.number, %error, "the next worker has to wait for the lease to lapse");
        }
    }

    /// How long to wait for the lease; `None` when it is held.
    async fn wait_for_lease(&mut self) -> Result<Option<Duration>, ReadError> {
        let Stand::Wanting(contender) = &mut self.stand else { return Ok(None) };
        match contender.look().await? {
            Look::Busy(again) => Ok(Some(again)),
            Look::Held(lease) => {
                self.stand = Stand::Holding(Holding::new(lease));
                Ok(None)
            }
        }
    }
}
