//! A backend that calls others, in a process of its own: with Ferrule's federator, or by upstream's habit.

mod direct;
mod ferrule;
mod neighbours;

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

pub use self::neighbours::{BadRemote, BadSummary, Crowd, CrowdResult};
use self::{direct::Direct, ferrule::Ferrule};
use crate::{
    ground::Credentials,
    load::micros,
    messenger::{plan, say, told},
};

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallerPlan {
    /// The name server.
    pub dns: SocketAddr,
    /// The caller's certificate.
    pub own: Credentials,
    /// How long an answer may take as a whole.
    pub answer_time: Duration,
    /// The task.
    pub task: Task,
}

/// What is called, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// One remote at an address; so many calls at a time, for so long.
    One {
        /// The habit.
        manner: Manner,
        /// Its backend domain.
        remote: String,
        /// Where it is, for those who do not ask DNS.
        address: SocketAddr,
        /// Calls at a time.
        in_flight: usize,
        /// For so long.
        time: Duration,
    },
    /// Many remotes, some of them bad.
    Crowd(Crowd),
}

/// How calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// Ferrule's federator: connections and versions are kept.
    Warm,
    /// Ferrule's federator, for each call a new one that knows nothing: DNS, connection, version, call.
    Cold,
    /// Each call asks DNS, opens one connection, asks for the version and calls on it: the least that a first call
    /// can do.
    Least,
    /// For each call a new connection for the version and another for the call, as wire-server's federator does; without
    /// DNS.
    Habit,
}

/// What came of calls to one remote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallerResult {
    /// Of each call, in microseconds.
    pub latencies: Vec<u32>,
    /// How long all took.
    pub elapsed: Duration,
}

/// Calls as the plan in the file says.
///
/// # Errors
/// A call that must go well did not.
pub async fn run(file: &Path) -> Result<()> {
    let plan: CallerPlan = plan(file)?;
    match &plan.task {
        Task::One { manner, remote, address, in_flight, time } => {
            let caller = Caller::new(&plan, *manner, remote, *address)?;
            caller.call().await?;
            say(&"ready")?;
            told().await?;
            say(&closed_loop(&caller, *in_flight, *time).await?)?;
        }
        Task::Crowd(crowd) => {
            let prepared = crowd.prepare(Ferrule::new(&plan)?).await?;
            say(&"ready")?;
            told().await?;
            say(&prepared.run().await?)?;
        }
    }
    // Until it is told to end it stays, so that its figures can be read.
    told().await?;
    Ok(())
}

/// One way of calling one remote.
#[derive(Clone)]
enum Caller {
    Warm(Ferrule, types::Domain),
    Cold(Box<CallerPlan>, types::Domain),
    Least(Direct),
    Habit(Direct),
}

impl Caller {
    fn new(plan: &CallerPlan, manner: Manner, remote: &str, address: SocketAddr) -> Result<Self> {
        Ok(match manner {
            Manner::Warm => Self::Warm(Ferrule::new(plan)?, remote.parse()?),
            Manner::Cold => Self::Cold(Box::new(plan.clone()), remote.parse()?),
            Manner::Least => Self::Least(Direct::new(plan, remote, address)?),
            Manner::Habit => Self::Habit(Direct::new(plan, remote, address)?),
        })
    }

    async fn call(&self) -> Result<()> {
        match self {
            Self::Warm(ferrule, remote) => ferrule.call(remote).await,
            Self::Cold(plan, remote) => Ferrule::new(plan)?.call(remote).await,
            Self::Least(direct) => direct.least().await,
            Self::Habit(direct) => direct.habit().await,
        }
    }
}

async fn closed_loop(caller: &Caller, in_flight: usize, time: Duration) -> Result<CallerResult> {
    let (started, mut tasks) = (Instant::now(), JoinSet::new());
    for _ in 0..in_flight {
        let caller = caller.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while started.elapsed() < time {
                let begun = Instant::now();
                caller.call().await?;
                latencies.push(micros(begun.elapsed()));
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(part) = tasks.join_next().await {
        latencies.extend(part??);
    }
    Ok(CallerResult { latencies, elapsed: started.elapsed() })
}
