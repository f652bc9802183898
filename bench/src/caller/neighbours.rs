//! Calls to many remotes at a steady pace, whatever becomes of them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};
use types::Domain;

use super::ferrule::Ferrule;
use crate::{load::micros, peers::Manner, proc};

/// How many remotes are called at a time before the clock starts.
const WARMING: usize = 16;

/// Beyond the longest deadline: how late a call may end on a machine that is busy.
const LATE: Duration = Duration::from_secs(1);

/// Whom to call, and how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Crowd {
    /// Those that answer.
    pub healthy: Vec<String>,
    /// Those that do not.
    pub bad: Vec<BadRemote>,
    /// The pause between two calls to the same healthy one.
    pub healthy_pause: Duration,
    /// The pause between two calls to the same bad one.
    pub bad_pause: Duration,
    /// For so long.
    pub time: Duration,
}

/// A bad remote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BadRemote {
    /// Its backend domain.
    pub domain: String,
    /// What is wrong with it.
    pub manner: Manner,
    /// When a call to it must have ended.
    pub deadline: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CrowdResult {
    /// Of each call to a healthy one, counted from when it was due, in microseconds.
    pub healthy: Vec<u32>,
    /// Calls to healthy ones that failed.
    pub healthy_failed: usize,
    /// By what was wrong with them, the calls to bad ones.
    pub bad: BTreeMap<Manner, BadSummary>,
    /// The most memory that the caller ever had, in KiB.
    pub peak: u64,
}

/// Calls to bad remotes of one kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BadSummary {
    /// How many there were.
    pub calls: usize,
    /// How many of them went well, against all expectation.
    pub answered: usize,
    /// How many were not over at their deadline.
    pub late: usize,
    /// How long the longest took, in microseconds.
    pub longest: u32,
    /// The deadline.
    pub deadline: Duration,
}

/// A crowd whose healthy members are connected.
pub struct Prepared {
    crowd: Crowd,
    ferrule: Ferrule,
    healthy: Vec<Domain>,
    bad: Vec<Domain>,
}

impl Crowd {
    /// Calls each healthy one once.
    ///
    /// # Errors
    /// One does not answer.
    pub async fn prepare(&self, ferrule: Ferrule) -> Result<Prepared> {
        let healthy: Vec<Domain> = self.healthy.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        let bad: Vec<Domain> = self.bad.iter().map(|remote| remote.domain.parse()).collect::<Result<_, _>>()?;
        for some in healthy.chunks(WARMING) {
            let mut tasks = JoinSet::new();
            for domain in some {
                let (ferrule, domain) = (ferrule.clone(), domain.clone());
                tasks.spawn(async move { ferrule.call(&domain).await });
            }
            while let Some(called) = tasks.join_next().await {
                called??;
            }
        }
        Ok(Prepared { crowd: self.clone(), ferrule, healthy, bad })
    }
}

/// One call that is over.
struct Over {
    bad: Option<usize>,
    took: Duration,
    answered: bool,
}

impl Prepared {
    /// Calls everybody.
    ///
    /// # Errors
    /// The program is at fault.
    pub async fn run(self) -> Result<CrowdResult> {
        let Self { crowd, ferrule, healthy, bad } = self;
        let started = Instant::now();
        let mut paces = JoinSet::new();
        let everybody = (healthy.iter().map(|domain| (None, domain)))
            .chain(bad.iter().enumerate().map(|(n, domain)| (Some(n), domain)));
        let count = healthy.len() + bad.len();
        for (n, (bad, domain)) in everybody.enumerate() {
            let pause = if bad.is_some() { crowd.bad_pause } else { crowd.healthy_pause };
            let deadline = bad.map_or(crowd.time, |n| crowd.bad[n].deadline);
            // Their turns are spread over the pause.
            let first = started + pause.mul_f64(n as f64 / count as f64);
            let pace = Pace { bad, domain: domain.clone(), first, pause, until: started + crowd.time, deadline };
            paces.spawn(pace.run(ferrule.clone()));
        }
        let mut result = CrowdResult { healthy: Vec::new(), healthy_failed: 0, bad: BTreeMap::new(), peak: 0 };
        while let Some(calls) = paces.join_next().await {
            for over in calls? {
                result.note(&crowd, &over);
            }
        }
        result.peak = proc::peak(std::process::id())?;
        Ok(result)
    }
}

/// The calls to one remote.
struct Pace {
    bad: Option<usize>,
    domain: Domain,
    first: Instant,
    pause: Duration,
    until: Instant,
    deadline: Duration,
}

impl Pace {
    /// Calls whenever it is time, whether or not the calls before have ended; then waits for them.
    async fn run(self, ferrule: Ferrule) -> Vec<Over> {
        let Self { bad, domain, first, pause, until, deadline } = self;
        let mut calls = JoinSet::new();
        let mut due = first;
        while due < until {
            sleep_until(due).await;
            let (ferrule, domain) = (ferrule.clone(), domain.clone());
            calls.spawn(async move {
                let called = timeout_at(due + deadline + LATE, ferrule.try_call(&domain)).await;
                Over { bad, took: due.elapsed(), answered: matches!(called, Ok(Ok(()))) }
            });
            due += pause;
        }
        calls.join_all().await
    }
}

impl CrowdResult {
    fn note(&mut self, crowd: &Crowd, over: &Over) {
        let Some(n) = over.bad else {
            self.healthy.push(micros(over.took));
            self.healthy_failed += usize::from(!over.answered);
            return;
        };
        let remote = &crowd.bad[n];
        let summary = self.bad.entry(remote.manner).or_default();
        summary.calls += 1;
        summary.answered += usize::from(over.answered);
        summary.late += usize::from(over.took >= remote.deadline + LATE);
        summary.longest = summary.longest.max(micros(over.took));
        summary.deadline = remote.deadline;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_calls_and_surprises_are_counted() {
        let remote = |manner, seconds| BadRemote { domain: "x".into(), manner, deadline: Duration::from_secs(seconds) };
        let crowd = Crowd {
            healthy: Vec::new(),
            bad: vec![remote(Manner::Silent, 5), remote(Manner::Dead, 1)],
            healthy_pause: Duration::ZERO,
            bad_pause: Duration::ZERO,
            time: Duration::ZERO,
        };
        let mut result = CrowdResult { healthy: Vec::new(), healthy_failed: 0, bad: BTreeMap::new(), peak: 0 };
        for (bad, seconds, answered) in
            [(None, 1, true), (None, 2, false), (Some(0), 5, false), (Some(0), 6, false), (Some(1), 0, true)]
        {
            result.note(&crowd, &Over { bad, took: Duration::from_secs(seconds), answered });
        }
        assert_eq!((result.healthy.len(), result.healthy_failed), (2, 1));
        let (silent, dead) = (&result.bad[&Manner::Silent], &result.bad[&Manner::Dead]);
        assert_eq!((silent.calls, silent.answered, silent.late, silent.longest), (2, 0, 1, 6_000_000));
        assert_eq!((dead.calls, dead.answered, dead.late), (1, 1, 0));
    }
}
