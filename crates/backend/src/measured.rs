//! What is measured about calls from other backends and about certificates.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::{Component, RpcInfo};
use federator::{
    inbound::{self, Called},
    ingress::{AdmittedCall, AuthenticatedPeer, InboundService},
    outward,
};
use http::{Response, StatusCode, Uri, request::Parts};
use prometheus::{
    GaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use services::Body;
use tls::ContextsHandle;
use web::metrics::{Durations, Measurement};

/// Measures what stands behind an ingress. Peers that the ingress refuses by their certificate get no further, and are not
/// measured.
pub(crate) fn measured(inner: Arc<dyn InboundService>, durations: Durations) -> Arc<dyn InboundService> {
    Arc::new(Measured { inner, durations, handlers: Handlers::inward() })
}

/// By what is called, the label of calls between backends. RPCs that are not known here have none: a name can be any text.
#[derive(Clone)]
pub(crate) struct Handlers {
    /// What a path calls, as whoever answers it reads it.
    called: fn(&str) -> Option<Called<'_>>,
    labels: Arc<BTreeMap<(Component, &'static str), Arc<str>>>,
}

impl Handlers {
    /// Of calls from other backends: `/federation/{component}/{rpc}`. They have the label that the component has for the same
    /// call: dashboards ask by that.
    pub(crate) fn inward() -> Self {
        Self::new(inbound::called, |rpc| format!("/federation/{}", rpc.name))
    }

    /// Of calls to other backends: `/rpc/{domain}/{component}/{rpc}`.
    pub(crate) fn outward() -> Self {
        Self::new(outward::called, |rpc| format!("/rpc/:domain/{}/{}", rpc.component, rpc.name))
    }

    fn new(called: fn(&str) -> Option<Called<'_>>, label: impl Fn(&RpcInfo) -> String) -> Self {
        let rpcs = federation_api::rpcs().iter();
        let labels = rpcs.map(|rpc| ((rpc.component, rpc.name), label(rpc).into()));
        Self { called, labels: Arc::new(labels.collect()) }
    }

    pub(crate) fn label(&self, uri: &Uri) -> Option<Arc<str>> {
        let Called { component, rpc } = (self.called)(uri.path())?;
        // Names that are looked for live shorter than those that are there.
        let labels: &BTreeMap<(Component, &str), Arc<str>> = &self.labels;
        labels.get(&(component, &*rpc)).cloned()
    }
}

struct Measured {
    inner: Arc<dyn InboundService>,
    durations: Durations,
    handlers: Handlers,
}

#[async_trait]
impl InboundService for Measured {
    async fn admit(&self, peer: &AuthenticatedPeer, head: Parts) -> Result<Box<dyn AdmittedCall>, Response<Body>> {
        let measurement = self.durations.begin(&head.method, self.handlers.label(&head.uri));
        match self.inner.admit(peer, head).await {
            Ok(call) => Ok(Box::new(Admitted { call, measurement })),
            Err(answer) => {
                measurement.end(answer.status());
                Err(answer)
            }
        }
    }

    fn refused(&self, head: &Parts, status: StatusCode) {
        self.durations.begin(&head.method, None).end(status);
        self.inner.refused(head, status);
    }
}

struct Admitted {
    call: Box<dyn AdmittedCall>,
    measurement: Measurement,
}

#[async_trait]
impl AdmittedCall for Admitted {
    fn body_limit(&self) -> Option<usize> {
        self.call.body_limit()
    }

    fn unread(self: Box<Self>, answer: &Response<Body>) {
        let Self { call, measurement } = *self;
        measurement.end(answer.status());
        call.unread(answer);
    }

    async fn call(self: Box<Self>, body: Bytes) -> Response<Body> {
        let Self { call, measurement } = *self;
        let answer = call.call(body).await;
        measurement.end(answer.status());
        answer
    }
}

/// Shows until when the own certificates are good, as of the moment of asking.
///
/// # Panics
/// When the registry has it already: a mistake of the program, seen at start.
pub(crate) fn certificates(contexts: ContextsHandle, registry: &Registry) {
    let options = Opts::new(
        "ferrule_certificate_expiry_timestamp_seconds",
        "Until when the own certificate is good that is shown in this role, in seconds since the epoch",
    );
    let gauge = GaugeVec::new(options, &["role"]).expect("name and label are well-formed");
    registry.register(Box::new(Certificates { contexts, gauge })).expect("a registry is shown one set of certificates");
}

struct Certificates {
    contexts: ContextsHandle,
    gauge: GaugeVec,
}

impl Collector for Certificates {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let contexts = self.contexts.contexts();
        let both = [("server", &contexts.server), ("client", &contexts.client)];
        // One that is yet to come has no date: an alarm for certificates that end soon would ring until it is there.
        for (role, identity) in both.into_iter().filter(|(_, identity)| !identity.stands_in()) {
            let seconds = identity.leaf().not_after.seconds();
            self.gauge.with_label_values(&[role]).set(seconds as f64);
        }
        self.gauge.collect()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;
    use tls::{
        Identity, KeyFiles, Reloader, Role, RootSources, Sources,
        issue::{Authority, AuthorityRequest, LeafRequest, Validity},
    };
    use types::Timestamp;

    use super::*;

    #[test]
    fn a_certificate_that_is_yet_to_come_has_no_date() {
        let folder = tempfile::tempdir().unwrap();
        let validity = |to| Validity { from: Timestamp::from_seconds(0), to: Timestamp::from_seconds(to) };
        let ca = Authority::root(&AuthorityRequest::new("CA", validity(3000))).unwrap();
        let issued = |to| ca.issue(&LeafRequest::new("f.a.example", validity(to))).unwrap();
        let both = |name: &str| folder.path().join(name);
        let files = |name: &str| KeyFiles { certificate: both(name), key: both(name) };
        let put = |name: &str, to| {
            let issued = issued(to);
            std::fs::write(both(name), format!("{}{}", issued.chain_pem(), issued.key_pem())).unwrap();
        };
        std::fs::write(both("ca"), ca.certificate_pem()).unwrap();
        put("own", 1000);
        let roots = RootSources { files: vec![both("ca")], system: false };
        let stand_in: Identity = issued(1).identity(Role::Server).unwrap();
        let sources = Sources { server: files("awaited"), client: files("own"), roots };
        let reloader = Reloader::awaiting(sources, stand_in).unwrap();
        let registry = Registry::new();
        certificates(reloader.handle().clone(), &registry);
        let shown = || {
            let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            let of = |role: &str| {
                let series = format!("ferrule_certificate_expiry_timestamp_seconds{{role=\"{role}\"}} ");
                text.lines().find_map(|line| line.strip_prefix(&series)).map(str::to_owned)
            };
            [of("server"), of("client")]
        };
        assert_eq!(shown(), [None, Some("1000".to_owned())]);
        put("awaited", 2000);
        reloader.reload().unwrap();
        assert_eq!(shown(), [Some("2000".to_owned()), Some("1000".to_owned())]);
    }

    #[test]
    fn calls_have_the_label_of_their_rpc_and_made_up_ones_none() {
        let label = |handlers: &Handlers, path: &str| handlers.label(&path.parse().unwrap());
        let (inward, outward) = (Handlers::inward(), Handlers::outward());
        for (handlers, path, expected) in [
            (&inward, "/federation/brig/get-user-by-handle", Some("/federation/get-user-by-handle")),
            (&inward, "/federation/brig/get-user-by-handle?a", Some("/federation/get-user-by-handle")),
            (&inward, "/federation/galley/get-user-by-handle", None),
            (&inward, "/federation/brig/made-up", None),
            (&inward, "/rpc/b.example/brig/get-user-by-handle", None),
            (&outward, "/rpc/b.example/brig/get-user-by-handle", Some("/rpc/:domain/brig/get-user-by-handle")),
            (&outward, "/rpc/made.up.example/galley/send-message", Some("/rpc/:domain/galley/send-message")),
            (&outward, "/rpc/b.example/brig/made-up", None),
            (&outward, "/rpc/b.example/brig/get-user-by-handle/more", None),
            (&outward, "/rpc/b.example", None),
            // As they are answered: escapes are taken back, and a path that is longer or ends in a slash is another.
            (&inward, "/federation/br%69g/get%2Duser-by-handle", Some("/federation/get-user-by-handle")),
            (&inward, "/federation/brig%2Fget-user-by-handle", None),
            (&inward, "/federation/brig/get-user-by-handle/", None),
            (&outward, "/rpc/b%2Eexample/br%69g/get%2Duser-by-handle", Some("/rpc/:domain/brig/get-user-by-handle")),
            (&outward, "/rpc/b.example/brig/get-user-by-handle/", None),
            (&outward, "/i/status", None),
        ] {
            assert_eq!(label(handlers, path).as_deref(), expected, "{path}");
        }
    }
}
