//! Which spans are steps of a trace, and what is known of each when it ends.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};
use types::TraceId;

/// The field that makes a span a step of a trace.
const TRACE: &str = "otel.trace";

/// Takes note of every span that has a field `otel.trace`, and hands it over when it ends.
pub struct Spans {
    sender: mpsc::Sender<Finished>,
    dropped: Arc<AtomicU64>,
    share: f64,
}

/// A step of a trace that was taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finished {
    pub(super) name: &'static str,
    pub(super) trace: String,
    pub(super) span: String,
    pub(super) parent: Option<String>,
    pub(super) kind: Kind,
    /// Since the epoch.
    pub(super) began: Duration,
    pub(super) ended: Duration,
    pub(super) failed: bool,
    pub(super) attributes: Vec<(&'static str, Value)>,
}

/// Which part a step has in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal,
    Server,
    Client,
}

impl Spans {
    pub(super) fn new(sender: mpsc::Sender<Finished>, dropped: Arc<AtomicU64>, share: f64) -> Self {
        Self { sender, dropped, share }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !is_step(attributes.metadata()) {
            return;
        }
        let mut step = Step::new(attributes.metadata().name());
        attributes.record(&mut step);
        if let Some(span) = context.span(id)
            && TraceId::from_hex(&step.finished.trace).is_some_and(|trace| trace.is_among(self.share))
        {
            span.extensions_mut().insert(step);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(step) = span.extensions_mut().get_mut::<Step>()
        {
            values.record(step);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let step = context.span(&id).and_then(|span| span.extensions_mut().remove::<Step>());
        if let Some(step) = step
            && self.sender.try_send(step.end()).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether a span is a step of a trace. Nothing else need be told of.
pub(crate) fn is_step(metadata: &tracing::Metadata<'_>) -> bool {
    metadata.is_span() && metadata.fields().field(TRACE).is_some()
}

/// A step that is being taken.
struct Step {
    finished: Finished,
    started: Instant,
}

impl Step {
    fn new(name: &'static str) -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let finished = Finished {
            name,
            trace: String::new(),
            span: String::new(),
            parent: None,
            kind: Kind::Internal,
            began,
            ended: began,
            failed: false,
            attributes: Vec::new(),
        };
        Self { finished, started: Instant::now() }
    }

    fn end(mut self) -> Finished {
        self.finished.ended = self.finished.began + self.started.elapsed();
        self.finished
    }

    fn put(&mut self, field: &Field, value: Value) {
        let Finished { trace, span, parent, kind, failed, attributes, .. } = &mut self.finished;
        let text = |value: Value| value.as_str().map(str::to_owned).unwrap_or_default();
        // Names as OpenTelemetry's conventions for HTTP have them.
        let name = match field.name() {
            TRACE => return *trace = text(value),
            "otel.span" => return *span = text(value),
            "otel.parent" => return *parent = Some(text(value)),
            "otel.kind" => {
                return *kind = match text(value).as_str() {
                    "server" => Kind::Server,
                    "client" => Kind::Client,
                    _ => Kind::Internal,
                };
            }
            "otel.error" => {
                *failed = true;
                "error.type"
            }
            "otel.method" => "http.request.method",
            "otel.route" => "http.route",
            "otel.status" => {
                *failed |= value.as_u64().is_some_and(|status| status >= 500);
                "http.response.status_code"
            }
            name => name,
        };
        attributes.push((name, value));
    }
}

impl Visit for Step {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    fn finished(room: usize, share: f64, of: impl FnOnce()) -> (Vec<Finished>, u64) {
        let (sender, mut receiver) = mpsc::channel(room);
        let dropped = Arc::<AtomicU64>::default();
        let spans = Spans::new(sender, Arc::clone(&dropped), share);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(spans), of);
        let mut all = Vec::new();
        while let Ok(span) = receiver.try_recv() {
            all.push(span);
        }
        (all, dropped.load(Ordering::Relaxed))
    }

    fn step() {
        let span = tracing::error_span!(
            "rpc",
            request = "r1",
            otel.trace = ID,
            otel.span = "b7ad6b7169203331",
            otel.kind = "client",
            otel.status = tracing::field::Empty
        );
        span.record("otel.status", 503);
    }

    #[test]
    fn a_span_with_a_trace_is_a_step() {
        let (spans, dropped) = finished(10, 1.0, || {
            step();
            tracing::error_span!("other", request = "r2").in_scope(|| tracing::error!("text"));
        });
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((span.name, span.trace.as_str(), span.span.as_str()), ("rpc", ID, "b7ad6b7169203331"));
        assert_eq!((span.kind, span.failed, span.parent.as_deref(), dropped), (Kind::Client, true, None, 0));
        assert_eq!(span.attributes, [("request", "r1".into()), ("http.response.status_code", 503.into())]);
        assert!(span.ended >= span.began && span.began > Duration::from_secs(1_600_000_000));
    }

    #[test]
    fn a_full_queue_loses_spans_and_counts_them() {
        let (spans, dropped) = finished(2, 1.0, || (0..5).for_each(|_| step()));
        assert_eq!((spans.len(), dropped), (2, 3));
    }

    #[test]
    fn a_share_of_the_traces_is_exported() {
        assert_eq!(finished(10, 0.0, step).0, []);
        // The last digits of its id are a little more than half of the way.
        assert_eq!([0.5, 0.6].map(|share| finished(10, share, step).0.len()), [0, 1]);
    }
}
