//! What a dashboard shows of renewal.

use prometheus::{IntCounter, IntGauge, Registry, core::Collector};

/// How renewal goes. Until when certificates are good is shown beside them, wherever they come from.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    awaited: IntGauge,
    failures: IntCounter,
    renewals: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let counter = |name: &str, help: &str| IntCounter::new(name, help).expect("a good name and help");
        let awaited = "Whether federation waits for its first certificate, or for one that can be used";
        Self {
            awaited: IntGauge::new("ferrule_acme_awaited", awaited).expect("a good name and help"),
            failures: counter("ferrule_acme_failures_total", "Tries to obtain a certificate by ACME that failed"),
            renewals: counter("ferrule_acme_certificates_total", "Certificates obtained by ACME and put to use"),
        }
    }

    pub(crate) fn register(&self, registry: &Registry) {
        let all: [Box<dyn Collector>; 3] =
            [Box::new(self.awaited.clone()), Box::new(self.failures.clone()), Box::new(self.renewals.clone())];
        for collector in all {
            registry.register(collector).expect("each of them is registered once");
        }
    }

    pub(crate) fn awaits(&self) {
        self.awaited.set(1);
    }

    pub(crate) fn arrived(&self) {
        self.awaited.set(0);
    }

    pub(crate) fn obtained(&self) {
        self.renewals.inc();
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }

    /// How many tries have failed.
    #[cfg(test)]
    pub(crate) fn failures(&self) -> u64 {
        self.failures.get()
    }
}
