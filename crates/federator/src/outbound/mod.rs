//! Calls to other backends: policy, discovery, a pooled HTTP/2 connection over mutual TLS, the request
//! (`federation.md` §1.1 hop B, §1.3).
//!
//! Each remote has its own connections, its own queue and its own circuit breaker; no lock is held while anything is
//! waited for, so a remote that is slow or dead costs the others nothing. Every step has its limit
//! ([`OutboundLimits`]). An answer's body is streamed, never buffered, unless it is an error.

mod answer;
mod breaker;
mod connect;
mod failure;
mod link;
mod pool;
mod race;
mod remote;
mod request;
mod watched;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use http::Response;
use rustls::ClientConfig;
use services::{Body, HopObserver, OutboundError, PolicySource, RpcCall, Step};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, field::Empty};
use types::{Clock, Domain, FederationPolicy, Rng, TraceContext};

pub use self::watched::Watched;
use self::{
    connect::{Opened, Opening},
    failure::Lost,
    link::{Link, Stream},
    remote::{Remote, Remotes, Turn},
};
use crate::{
    answer_body::AnswerBody,
    discovery::{self, Discovery, DiscoveryError, Target},
    limits::OutboundLimits,
    metrics::{Counting, Metrics},
    steps::{Steps, discovery_step, policy_step},
};

/// What connections to remotes are made with at this moment.
pub trait ClientTls: Send + Sync {
    /// The generation of the key material, which changes whenever the settings do, and the settings: `h2` as the only
    /// protocol, our certificate, and a verifier for the remote's.
    fn current(&self) -> (u64, Arc<ClientConfig>);
}

impl ClientTls for tls::ContextsHandle {
    fn current(&self) -> (u64, Arc<ClientConfig>) {
        let contexts = self.contexts();
        (contexts.generation, Arc::clone(&contexts.connector))
    }
}

/// The way out: [`services::Outbound`] over the network.
pub struct Outbound {
    parts: OutboundParts,
    remotes: Remotes,
}

/// What an [`Outbound`] stands on.
pub(crate) struct OutboundParts {
    pub(crate) own_domain: Domain,
    pub(crate) policy: Arc<dyn PolicySource>,
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) tls: Arc<dyn ClientTls>,
    pub(crate) limits: Arc<OutboundLimits>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) observer: Arc<dyn HopObserver>,
    pub(crate) metrics: Arc<Metrics>,
}

#[async_trait]
impl services::Outbound for Outbound {
    /// By the policy, by the remote's breaker, or because enough calls wait for it.
    fn turned_away(&self, call: &RpcCall) -> Option<OutboundError> {
        let error = self.would_take(&call.target).err()?;
        let id = request::id(&call.context.request_id, self.parts.rng.as_ref());
        let trace = trace_of(call, self.parts.rng.as_ref());
        let span = span(call, &id, &trace);
        let steps = Steps::new(self.parts.observer.as_ref(), &self.parts.own_domain, &id);
        let call = Call { outbound: self, call, id: &id, trace: &trace, steps: &steps };
        let result = span.in_scope(|| {
            let started = call.asked();
            call.stopped(&error);
            let result = Err(error);
            call.answered(started, &span, &result);
            result
        });
        result.err()
    }

    async fn send(&self, call: RpcCall) -> Result<Response<Body>, OutboundError> {
        let id = request::id(&call.context.request_id, self.parts.rng.as_ref());
        let trace = trace_of(&call, self.parts.rng.as_ref());
        let span = span(&call, &id, &trace);
        self.send_in_trace(call, &id, &trace, &span).instrument(span.clone()).await
    }
}

impl Outbound {
    pub(crate) fn new(parts: OutboundParts) -> Self {
        Self { parts, remotes: Remotes::default() }
    }

    async fn send_in_trace(
        &self,
        call: RpcCall,
        id: &str,
        trace: &TraceContext,
        span: &Span,
    ) -> Result<Response<Body>, OutboundError> {
        let steps = Steps::new(self.parts.observer.as_ref(), &self.parts.own_domain, id);
        let call = Call { outbound: self, call: &call, id, trace, steps: &steps };
        let started = call.asked();
        let result = call.run().await;
        call.answered(started, span, &result);
        result
    }

    /// Whether a call to that remote would be tried now.
    fn would_take(&self, target: &Domain) -> Result<(), OutboundError> {
        let OutboundParts { policy, limits, clock, .. } = &self.parts;
        allowed(policy.as_ref(), &policy.policy(), target)?;
        self.remotes.would_let_in(target, limits, clock.as_ref())
    }
}

fn allowed(source: &dyn PolicySource, policy: &FederationPolicy, target: &Domain) -> Result<(), OutboundError> {
    if !source.is_known() {
        return Err(OutboundError::PolicyUnknown);
    }
    if !policy.allows(target) {
        return Err(OutboundError::AuthorizationFailure(target.clone()));
    }
    Ok(())
}

/// A step of the trace that the call belongs to, or the first of a new one.
fn trace_of(call: &RpcCall, rng: &dyn Rng) -> TraceContext {
    call.context.trace.as_ref().map_or_else(|| TraceContext::root(rng), |trace| trace.child(rng))
}

/// What log lines and traces say about a call. Within a request of a component in this process, whose span names the request,
/// it is there for traces, and for lines at the level of `debug`.
fn span(call: &RpcCall, id: &str, trace: &TraceContext) -> Span {
    macro_rules! span {
        ($at:ident) => {
            tracing::$at!(
                "outward",
                request = id,
                remote = %call.target,
                component = %call.component,
                rpc = %call.rpc,
                otel.kind = "client",
                otel.trace = %trace.trace,
                otel.span = %trace.span,
                otel.parent = trace.parent.map(tracing::field::display),
                otel.status = Empty,
                otel.error = Empty,
            )
        };
    }
    if Span::current().is_none() { span!(error_span) } else { span!(debug_span) }
}

/// One call on its way.
struct Call<'a> {
    outbound: &'a Outbound,
    call: &'a RpcCall,
    id: &'a str,
    trace: &'a TraceContext,
    steps: &'a Steps<'a>,
}

impl Call<'_> {
    fn asked(&self) -> Instant {
        let (call, started) = (self.call, Instant::now());
        self.steps.take(started, || Step::Asked {
            remote: call.target.clone(),
            component: call.component,
            rpc: call.rpc.to_string(),
        });
        started
    }

    /// What became of it, for all who want to know.
    fn answered(&self, started: Instant, span: &Span, result: &Result<Response<Body>, OutboundError>) {
        let call = self.call;
        self.steps.take(started, || answered_step(call, result));
        match result {
            Ok(answer) => span.record("otel.status", answer.status().as_u16()),
            Err(error) => span.record("otel.error", error.failure()),
        };
        if let Err(error) = result {
            tracing::info!(
                remote = %call.target,
                component = %call.component,
                rpc = %call.rpc,
                failure = error.failure(),
                %error,
                "a call to a remote failed"
            );
        }
    }

    fn ask_policy(&self, asked: Instant) -> Result<(), OutboundError> {
        let (source, target) = (self.outbound.parts.policy.as_ref(), &self.call.target);
        let policy = source.policy();
        self.steps.take(asked, || policy_step(target, &policy));
        allowed(source, &policy, target)
    }

    /// Counts and describes a call that was turned away before it was one.
    fn stopped(&self, error: &OutboundError) {
        let asked = Instant::now();
        if self.ask_policy(asked).is_ok() {
            drop(self.outbound.parts.metrics.outgoing(&self.call.target));
            self.steps.take(asked, || held_back_step(&self.call.target, error));
        }
    }

    async fn run(&self) -> Result<Response<Body>, OutboundError> {
        let Outbound { parts, remotes } = self.outbound;
        let target = &self.call.target;
        let asked = Instant::now();
        self.ask_policy(asked)?;
        let counting = parts.metrics.outgoing(target);
        let remote = remotes.of(target, &parts.limits)?;
        let entered = remote.enter(&parts.limits, parts.clock.as_ref(), parts.rng.as_ref());
        let mut turn = entered.inspect_err(|error| self.steps.take(asked, || held_back_step(target, error)))?;
        let result = self.attempt(&remote, counting, &mut turn).await;
        turn.settle(&result);
        result
    }

    async fn attempt(
        &self,
        remote: &Remote,
        counting: Counting<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<Response<Body>, OutboundError> {
        let parts = &self.outbound.parts;
        turn.waits(parts.discovery.longest(), OutboundError::DiscoveryFailure);
        let targets = self.discover().await?;
        counting.confirm();
        let (generation, tls) = parts.tls.current();
        let mut again = true;
        loop {
            turn.waits(parts.limits.connect_all, OutboundError::ConnectionRefused);
            let stream = self.connection(remote, &targets, generation, &tls).await?;
            let request = request::request(self.call, &parts.own_domain, &stream.target.host, self.id, self.trace)?;
            turn.waits(parts.limits.answer_head, OutboundError::Http2);
            match timeout(parts.limits.answer_head, stream.send(request)).await {
                Ok(Ok(answer)) => {
                    turn.has_answer();
                    let link = Arc::clone(&stream);
                    let answer = answer.map(|body| AnswerBody::new(body, parts.limits.answer_idle, stream));
                    return answer::judge(answer, &link, &parts.limits).await;
                }
                Ok(Err(Lost { untouched: true, .. })) if again => {
                    give_up(remote, &stream);
                    again = false;
                }
                Ok(Err(lost)) => return Err(lost.error),
                Err(_) => {
                    // The connection may be dead without anybody having said so; the next call gets a new one.
                    give_up(remote, &stream);
                    return Err(OutboundError::Http2(format!("no answer within {:?}", parts.limits.answer_head)));
                }
            }
        }
    }

    async fn discover(&self) -> Result<Arc<[Target]>, OutboundError> {
        let started = Instant::now();
        let found = self.outbound.parts.discovery.find(&self.call.target).await;
        self.steps.take(started, || discovery_step(&self.call.target, &found));
        found.targets.map_err(|error| match error {
            DiscoveryError::Busy => OutboundError::Busy { retry_after: self.outbound.parts.limits.busy_retry_after },
            DiscoveryError::Failure(text) => OutboundError::DiscoveryFailure(text),
            DiscoveryError::NoService(text) => OutboundError::InvalidDomain(text),
        })
    }

    /// A connection that stands, or a new one. Whoever needs a new one at the same moment shares it.
    async fn connection(
        &self,
        remote: &Remote,
        targets: &[Target],
        generation: u64,
        tls: &Arc<ClientConfig>,
    ) -> Result<Stream, OutboundError> {
        let parts = &self.outbound.parts;
        let started = Instant::now();
        if let Some(stream) = remote.pool.choose(targets, generation, &parts.limits) {
            self.steps.take(started, || connected_step(&stream, true));
            return Ok(stream);
        }
        let (work, mine) = remote.opening.join(|| {
            let opening = Opening {
                discovery: Arc::clone(&parts.discovery),
                limits: Arc::clone(&parts.limits),
                targets: discovery::order(targets, parts.rng.as_ref()),
                generation,
                tls: Arc::clone(tls),
                pool: Arc::downgrade(&remote.pool),
            };
            opening.open().boxed()
        });
        let Opened { link, failed, fresh } = work.await;
        for failure in failed.iter() {
            self.steps.took(failure.took, || failed_step(&failure.target.authority(), &failure.error));
        }
        let link = match link {
            Ok(link) => link,
            // Where more connections cannot be had, those that stand must do.
            Err(error) => match remote.pool.any(targets, generation, &parts.limits) {
                Some(stream) => return Ok(stream),
                None => return Err(error),
            },
        };
        self.steps.take(started, || connected_step(&link, !(fresh && mine)));
        Ok(link.begin_stream())
    }
}

fn give_up(remote: &Remote, stream: &Stream) {
    stream.retire();
    remote.pool.forget(stream);
}

fn connected_step(link: &Link, reused: bool) -> Step {
    Step::Connected {
        target: link.target.authority(),
        address: Some(link.address),
        reused,
        tls: (!reused).then(|| link.tls.clone()),
        names: link.names.clone(),
        error: None,
    }
}

fn failed_step(target: &str, error: &OutboundError) -> Step {
    Step::Connected {
        target: target.to_owned(),
        address: None,
        reused: false,
        tls: None,
        names: Vec::new(),
        error: Some(error.to_string()),
    }
}

fn held_back_step(remote: &Domain, error: &OutboundError) -> Step {
    failed_step(remote.as_str(), error)
}

fn answered_step(call: &RpcCall, result: &Result<Response<Body>, OutboundError>) -> Step {
    match result {
        Ok(answer) => Step::Answered { status: answer.status().as_u16(), label: None },
        Err(error) => {
            let failure = error.to_failure(&call.target, &request::path(call));
            Step::Answered { status: failure.status().as_u16(), label: Some(failure.label().to_owned()) }
        }
    }
}
