//! What is kept of each remote, and of how many.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use services::OutboundError;
use tokio::time::Instant;
use types::{Clock, Domain, Rng};

use super::{
    breaker::{Admission, Breaker, Verdict},
    connect::Opened,
    pool::Pool,
};
use crate::{flight::Flight, limits::OutboundLimits};

/// A caller who leaves has learnt nothing about the remote, unless he waited for more than this part of the time that
/// the step may take. Callers that give up after 5 s are common and the steps have 9 s and more, so it is less than half.
const PATIENT_PART: u32 = 3;

/// The state of one remote. Nothing in it is shared with another.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) pool: Arc<Pool>,
    pub(super) opening: Flight<Opened>,
    breaker: Mutex<Breaker>,
    waiting: AtomicUsize,
    last_used: AtomicU64,
}

impl Remote {
    fn new(limits: &OutboundLimits) -> Self {
        Self {
            pool: Arc::default(),
            opening: Flight::default(),
            breaker: Mutex::new(Breaker::new(limits.breaker.clone())),
            waiting: AtomicUsize::new(0),
            last_used: AtomicU64::new(0),
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call in, unless the breaker is open or too many wait already.
    pub(super) fn enter<'a>(
        self: &'a Arc<Self>,
        limits: &OutboundLimits,
        clock: &'a dyn Clock,
        rng: &'a dyn Rng,
    ) -> Result<Turn<'a>, OutboundError> {
        let admission = self.breaker().admit(clock.monotonic())?;
        let turn = Turn { remote: self, admission, clock, rng, settled: false, waiting: None };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= limits.waiting_calls {
            // Dropping the turn takes the count back.
            return Err(OutboundError::Busy { retry_after: limits.busy_retry_after });
        }
        Ok(turn)
    }

    /// Whether a call would be let in that does not come in yet.
    fn would_let_in(&self, limits: &OutboundLimits, clock: &dyn Clock) -> Result<(), OutboundError> {
        self.breaker().would_admit(clock.monotonic())?;
        if self.waiting.load(Ordering::Relaxed) >= limits.waiting_calls {
            return Err(OutboundError::Busy { retry_after: limits.busy_retry_after });
        }
        Ok(())
    }

    fn is_idle(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1 && self.pool.is_empty() && self.breaker().is_pristine()
    }
}

/// A call's turn, from its admission to the head of its answer.
pub(super) struct Turn<'a> {
    remote: &'a Arc<Remote>,
    admission: Admission,
    clock: &'a dyn Clock,
    rng: &'a dyn Rng,
    settled: bool,
    waiting: Option<Waiting>,
}

/// What a call waits for.
struct Waiting {
    since: Instant,
    limit: Duration,
    /// What it means that nothing comes.
    failure: fn(String) -> OutboundError,
}

impl Waiting {
    /// What to think of the remote if the caller leaves now.
    fn abandoned(&self) -> Option<OutboundError> {
        let waited = self.since.elapsed();
        let patient = waited > self.limit / PATIENT_PART;
        patient.then(|| (self.failure)(format!("nothing came within {waited:.1?}, then the caller left")))
    }
}

impl Turn<'_> {
    /// From now on the call waits for something that may take that long.
    pub(super) fn waits(&mut self, limit: Duration, failure: fn(String) -> OutboundError) {
        self.waiting = Some(Waiting { since: Instant::now(), limit, failure });
    }

    /// The remote has answered; what is still to come tells nothing new.
    pub(super) fn has_answer(&mut self) {
        self.waiting = None;
    }

    /// Tells the breaker what became of the call.
    ///
    /// Failures of the connection, of TLS and of HTTP/2 count, and so does DNS that does not answer for the domain: each
    /// means that a call takes its whole deadline for nothing. That the domain has no backend does not count, as DNS said
    /// so in good time; and an answer is an answer, whatever its status.
    pub(super) fn settle<T>(mut self, result: &Result<T, OutboundError>) {
        let verdict = match result {
            Ok(_) | Err(OutboundError::Remote { .. }) => Verdict::Answered,
            Err(
                OutboundError::AuthorizationFailure(_)
                | OutboundError::Busy { .. }
                | OutboundError::InvalidDomain(_)
                // These are never of our own making: they are made by who stands before a federator.
                | OutboundError::Local(_)
                | OutboundError::PolicyUnknown
                | OutboundError::Reported(_)
                | OutboundError::Unavailable(_),
            ) => Verdict::Unknown,
            Err(
                error @ (OutboundError::ConnectionRefused(_)
                | OutboundError::DiscoveryFailure(_)
                | OutboundError::Http2(_)
                | OutboundError::Tls(_)),
            ) => Verdict::Failed(error),
        };
        self.tell(verdict);
    }

    fn tell(&mut self, verdict: Verdict<'_>) {
        self.settled = true;
        self.remote.breaker().settle(&self.admission, verdict, self.clock.monotonic(), self.rng);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.remote.waiting.fetch_sub(1, Ordering::Relaxed);
        if !self.settled {
            let failure = self.waiting.as_ref().and_then(Waiting::abandoned);
            self.tell(failure.as_ref().map_or(Verdict::Unknown, Verdict::Failed));
        }
    }
}

/// All remotes that were called. Bounded: those of which nothing is to be remembered go first, then those that were not
/// called for longest.
#[derive(Debug, Default)]
pub(super) struct Remotes {
    remotes: Mutex<HashMap<Domain, Arc<Remote>>>,
    uses: AtomicU64,
}

impl Remotes {
    /// The state of a remote; a new one at the first call.
    ///
    /// # Errors
    /// [`OutboundError::Busy`] when all that are remembered have calls under way.
    pub(super) fn of(&self, domain: &Domain, limits: &OutboundLimits) -> Result<Arc<Remote>, OutboundError> {
        let mut remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        if !remotes.contains_key(domain) && remotes.len() >= limits.remotes {
            make_room(&mut remotes, limits.remotes);
            if remotes.len() >= limits.remotes {
                return Err(OutboundError::Busy { retry_after: limits.busy_retry_after });
            }
        }
        let remote = remotes.entry(domain.clone()).or_insert_with(|| Arc::new(Remote::new(limits)));
        remote.last_used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Ok(Arc::clone(remote))
    }

    /// Whether a call to that remote would be let in now. Nothing is remembered of the question.
    ///
    /// # Errors
    /// What the call would be answered with.
    pub(super) fn would_let_in(
        &self,
        domain: &Domain,
        limits: &OutboundLimits,
        clock: &dyn Clock,
    ) -> Result<(), OutboundError> {
        let remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        // Of who was never called nothing is known.
        remotes.get(domain).map_or(Ok(()), |remote| remote.would_let_in(limits, clock))
    }

    /// How many are remembered.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.remotes.lock().unwrap().len()
    }
}

fn make_room(remotes: &mut HashMap<Domain, Arc<Remote>>, limit: usize) {
    remotes.retain(|_, remote| !remote.is_idle());
    if remotes.len() < limit {
        return;
    }
    let age = |remote: &Remote| remote.last_used.load(Ordering::Relaxed);
    let mut uses: Vec<u64> = remotes.values().map(|remote| age(remote)).collect();
    let (_, last_to_go, _) = uses.select_nth_unstable(limit / 4);
    let last_to_go = *last_to_go;
    remotes.retain(|_, remote| age(remote) > last_to_go || Arc::strong_count(remote) > 1);
}

#[cfg(test)]
mod tests {
    use types::{SeededRng, SystemClock};

    use super::*;

    fn domain(n: usize) -> Domain {
        format!("d{n}.example").parse().unwrap()
    }

    fn limits() -> OutboundLimits {
        OutboundLimits { remotes: 4, waiting_calls: 2, ..OutboundLimits::default() }
    }

    #[test]
    fn the_number_of_remotes_is_bounded_and_failing_ones_are_remembered_longest() {
        let (remotes, limits, rng) = (Remotes::default(), limits(), SeededRng::new(1));
        let failing = remotes.of(&domain(0), &limits).unwrap();
        let turn = failing.enter(&limits, &SystemClock, &rng).unwrap();
        turn.settle::<()>(&Err(OutboundError::Http2("silent".into())));
        drop(failing);
        for n in 1..10 {
            remotes.of(&domain(n), &limits).unwrap();
            assert!(remotes.len() <= 4);
        }
        assert!(!remotes.of(&domain(0), &limits).unwrap().breaker().is_pristine(), "it is still remembered");
    }

    #[test]
    fn remotes_with_calls_under_way_are_not_forgotten() {
        let (remotes, limits) = (Remotes::default(), limits());
        let held: Vec<_> = (0..4).map(|n| remotes.of(&domain(n), &limits).unwrap()).collect();
        assert!(matches!(remotes.of(&domain(9), &limits), Err(OutboundError::Busy { .. })));
        assert!(remotes.of(&domain(3), &limits).is_ok());
        drop(held);
        assert!(remotes.of(&domain(9), &limits).is_ok());
    }

    #[test]
    fn only_so_many_calls_wait() {
        let (remotes, limits, rng) = (Remotes::default(), limits(), SeededRng::new(1));
        let remote = remotes.of(&domain(0), &limits).unwrap();
        let enter = || remote.enter(&limits, &SystemClock, &rng);
        let (one, two) = (enter().unwrap(), enter().unwrap());
        assert!(matches!(enter().err(), Some(OutboundError::Busy { .. })));
        drop(one);
        drop(enter().unwrap());
        two.settle(&Ok(()));
        assert!(enter().is_ok());
    }
}
