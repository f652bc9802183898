//! What a dashboard shows of renewal.

use prometheus::{IntCounter, Registry};

/// How renewal goes. Until when certificates are good is shown beside them, wherever they come from.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    failures: IntCounter,
    renewals: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let counter = |name: &str, help: &str| IntCounter::new(name, help).expect("a good name and help");
        Self {
            failures: counter("ferrule_acme_failures_total", "Tries to obtain a certificate by ACME that failed"),
            renewals: counter("ferrule_acme_certificates_total", "Certificates obtained by ACME and put to use"),
        }
    }

    pub(crate) fn register(&self, registry: &Registry) {
        for counter in [&self.failures, &self.renewals] {
            registry.register(Box::new(counter.clone())).expect("each of them is registered once");
        }
    }

    pub(crate) fn obtained(&self) {
        self.renewals.inc();
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
