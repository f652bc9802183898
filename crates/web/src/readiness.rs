//! Whether requests should be sent to a process, as it answers to whoever spreads them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use public_api::{
    Empty, Endpoint, Failure,
    endpoints::system::process::{GetEdgeStatus, GetReady, HeadEdgeStatus},
    error::common,
};

use crate::{Request, Routes, Served};

/// Whether requests should be sent to this process; clones share it. In the beginning they should.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Reasons>>);

/// Why they should not.
#[derive(Debug, Default)]
struct Reasons {
    awaited: Vec<&'static str>,
    leaving: bool,
}

impl Readiness {
    /// It cannot serve for a reason, until [that is over](Self::is_over).
    pub fn awaits(&self, reason: &'static str) {
        self.reasons().awaited.push(reason);
    }

    /// What it could not serve for is over. Others may be left.
    pub fn is_over(&self, reason: &'static str) {
        self.reasons().awaited.retain(|other| *other != reason);
    }

    /// It is about to end, for good.
    pub fn leaves(&self) {
        self.reasons().leaving = true;
    }

    /// Why none should be sent here, if there is a reason.
    pub fn why_not(&self) -> Option<&'static str> {
        let reasons = self.reasons();
        if reasons.leaving { Some("The process is about to end") } else { reasons.awaited.first().copied() }
    }

    fn reasons(&self) -> MutexGuard<'_, Reasons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `/i/ready` for other components, `/status` for clients: 503 with the reason where requests should go elsewhere.
pub fn readiness(readiness: Readiness) -> Served {
    Routes::new(readiness)
        .serve::<GetReady, _>(answer::<GetReady>)
        .serve::<GetEdgeStatus, _>(answer::<GetEdgeStatus>)
        .serve::<HeadEdgeStatus, _>(answer::<HeadEdgeStatus>)
        .done()
}

async fn answer<E: Endpoint>(readiness: Readiness, _: Request<E>) -> Result<Empty<200>, Failure> {
    match readiness.why_not() {
        None => Ok(Empty),
        Some(why) => Err(common::SERVICE_UNAVAILABLE.because(why)),
    }
}
