//! Describing the steps of a call to whoever listens.

use std::time::Duration;

use services::{Hop, HopObserver, Step};
use tokio::time::Instant;
use types::{Domain, FederationPolicy};

use crate::discovery::Found;

/// The steps that this backend takes for one request.
pub(crate) struct Steps<'a> {
    observer: &'a dyn HopObserver,
    backend: &'a Domain,
    request_id: &'a str,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(observer: &'a dyn HopObserver, backend: &'a Domain, request_id: &'a str) -> Self {
        Self { observer, backend, request_id }
    }

    /// A step that began at `started` and ends now. It is described only if somebody listens.
    pub(crate) fn take(&self, started: Instant, step: impl FnOnce() -> Step) {
        self.took(started.elapsed(), step);
    }

    /// A step that took that long.
    pub(crate) fn took(&self, took: Duration, step: impl FnOnce() -> Step) {
        if self.observer.listening() {
            let (backend, request_id) = (self.backend.clone(), self.request_id.to_owned());
            self.observer.hop(Hop { backend, request_id, took, step: step() });
        }
    }
}

pub(crate) fn policy_step(remote: &Domain, policy: &FederationPolicy) -> Step {
    Step::Policy {
        remote: remote.clone(),
        allowed: policy.allows(remote),
        strategy: policy.strategy.as_str().to_owned(),
    }
}

pub(crate) fn discovery_step(domain: &Domain, found: &Found) -> Step {
    let (targets, error) = match &found.targets {
        Ok(targets) => (targets.iter().map(|target| target.authority()).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Step::Discovery { domain: domain.clone(), targets, ttl: found.ttl, cached: found.cached, error }
}
