//! What a dashboard shows of renewal.

use prometheus::{Gauge, IntCounter, Opts, Registry};
use types::Timestamp;

/// The state of the certificate and of its renewal.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    not_after: Gauge,
    failures: IntCounter,
    renewals: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let gauge = |name: &str, help: &str| Gauge::with_opts(Opts::new(name, help)).expect("a good name and help");
        let counter =
            |name: &str, help: &str| IntCounter::with_opts(Opts::new(name, help)).expect("a good name and help");
        Self {
            not_after: gauge(
                "ferrule_acme_certificate_not_after_seconds",
                "Last moment of the certificate obtained by ACME, in seconds since 1970; 0 while there is none",
            ),
            failures: counter("ferrule_acme_failures_total", "Tries to obtain a certificate by ACME that failed"),
            renewals: counter("ferrule_acme_certificates_total", "Certificates obtained by ACME and put to use"),
        }
    }

    pub(crate) fn register(&self, registry: &Registry) {
        for collector in [
            Box::new(self.not_after.clone()) as Box<dyn prometheus::core::Collector>,
            Box::new(self.failures.clone()),
            Box::new(self.renewals.clone()),
        ] {
            registry.register(collector).expect("each of them is registered once");
        }
    }

    pub(crate) fn in_use_until(&self, not_after: Timestamp) {
        self.not_after.set(not_after.micros() as f64 / 1e6);
    }

    pub(crate) fn obtained(&self) {
        self.renewals.inc();
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
