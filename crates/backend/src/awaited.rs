//! What a federator cannot do without and waits for.

use prometheus::{IntGauge, Registry};
use web::Readiness;

/// Something that is awaited. It tells whoever asks: by a gauge of `/i/metrics`, and as long as it is awaited by `/i/ready`.
/// Every call is 500 until then, so that they are better sent to another process, such as the one that this one shall
/// replace.
pub(crate) struct Awaited {
    gauge: IntGauge,
    why: &'static str,
    readiness: Readiness,
}

impl Awaited {
    /// The own domain, where none is configured.
    pub(crate) fn domain(is_awaited: bool, readiness: &Readiness, registry: &Registry) -> Self {
        let help = "Whether calls are answered with an error until brig says of which domain it is";
        let why = "No domain is configured, and brig has not said of which it is";
        Self::new(("ferrule_domain_awaited", help), why, is_awaited, readiness, registry)
    }

    /// Whom to deal with, where brig says it.
    pub(crate) fn policy(is_awaited: bool, readiness: &Readiness, registry: &Registry) -> Self {
        let help = "Whether calls are answered with an error until brig says which backends are allowed";
        let why = "Brig has not said which backends are allowed";
        Self::new(("ferrule_policy_awaited", help), why, is_awaited, readiness, registry)
    }

    fn new(
        (name, help): (&str, &str),
        why: &'static str,
        is_awaited: bool,
        readiness: &Readiness,
        registry: &Registry,
    ) -> Self {
        let gauge = IntGauge::new(name, help).expect("a good name and help");
        registry.register(Box::new(gauge.clone())).expect("a registry is shown each thing once");
        if is_awaited {
            gauge.set(1);
            readiness.awaits(why);
        }
        Self { gauge, why, readiness: readiness.clone() }
    }

    /// It is there.
    pub(crate) fn arrived(&self) {
        self.gauge.set(0);
        self.readiness.is_over(self.why);
    }
}
