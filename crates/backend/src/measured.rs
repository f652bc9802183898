//! What is measured about calls from other backends and about certificates.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use federator::ingress::{AdmittedCall, AuthenticatedPeer, InboundService};
use http::{Method, Response, request::Parts};
use prometheus::{
    GaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use services::Body;
use tls::ContextsHandle;
use web::metrics::{Durations, UNKNOWN_HANDLER};

/// Measures what stands behind an ingress. Peers that the ingress refuses by their certificate get no further, and are not
/// measured.
pub(crate) fn inbound(inner: Arc<dyn InboundService>, durations: Durations) -> Arc<dyn InboundService> {
    let handlers = federation_api::rpcs().iter().map(|rpc| {
        let path = format!("/federation/{}/{}", rpc.component, rpc.name);
        (path, Arc::from(format!("/federation/{}", rpc.name)))
    });
    Arc::new(Measured { inner, durations, handlers: handlers.collect() })
}

struct Measured {
    inner: Arc<dyn InboundService>,
    durations: Durations,
    /// By path, the label that the component has for the same call: dashboards ask by that.
    handlers: BTreeMap<String, Arc<str>>,
}

/// A request that is being measured.
struct Measurement {
    durations: Durations,
    handler: Option<Arc<str>>,
    method: Method,
    began: Instant,
}

impl Measurement {
    fn end(&self, answer: &Response<Body>) {
        let handler = self.handler.as_deref().unwrap_or(UNKNOWN_HANDLER);
        self.durations.observe(handler, &self.method, answer.status(), self.began.elapsed());
    }
}

#[async_trait]
impl InboundService for Measured {
    async fn admit(&self, peer: &AuthenticatedPeer, head: Parts) -> Result<Box<dyn AdmittedCall>, Response<Body>> {
        let measurement = Measurement {
            durations: self.durations.clone(),
            handler: self.handlers.get(head.uri.path()).cloned(),
            method: head.method.clone(),
            began: Instant::now(),
        };
        match self.inner.admit(peer, head).await {
            Ok(call) => Ok(Box::new(Admitted { call, measurement })),
            Err(answer) => {
                measurement.end(&answer);
                Err(answer)
            }
        }
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

    async fn call(self: Box<Self>, body: Bytes) -> Response<Body> {
        let Self { call, measurement } = *self;
        let answer = call.call(body).await;
        measurement.end(&answer);
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
        for (role, identity) in [("server", &contexts.server), ("client", &contexts.client)] {
            let seconds = identity.leaf().not_after.seconds();
            self.gauge.with_label_values(&[role]).set(seconds as f64);
        }
        self.gauge.collect()
    }
}
