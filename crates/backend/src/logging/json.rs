//! Log lines for machines: one JSON object a line, flat.
//!
//! What a span says of a request (its id, its trace, what is asked) stands in every line that belongs to the request,
//! beside the line's own fields, which come first where both have a name. Fields that begin with `otel.` are for traces
//! and stay out, but for the id of the trace.

use std::{fmt, io};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::Context,
    registry::LookupSpan,
};

/// Writes JSON lines with `W`.
pub(super) struct Json<W>(pub(super) W);

/// What a span says.
struct Said(Map<String, Value>);

impl<S, W, O> Layer<S> for Json<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: io::Write,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(Said(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(said) = span.extensions_mut().get_mut::<Said>()
        {
            let mut fields = Fields(std::mem::take(&mut said.0));
            values.record(&mut fields);
            said.0 = fields.0;
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Said(fields)) = span.extensions().get() {
                line.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        let mut own = Fields::default();
        event.record(&mut own);
        line.extend(own.0);
        let mut now = String::new();
        if SystemTime.format_time(&mut Writer::new(&mut now)).is_ok() {
            line.insert("timestamp".into(), now.into());
        }
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // There is nobody left to tell that the log is closed.
        let _ = (self.0)().write_all(text.as_bytes());
    }
}

/// Gathers fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        match field.name() {
            "otel.trace" => self.0.insert("trace".into(), value.into()),
            name if name.starts_with(super::FOR_TRACES) => None,
            name => self.0.insert(name.to_owned(), value.into()),
        };
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(of: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::registry().with(Json(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, of);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_says_what_its_spans_say() {
        let lines = lines(|| {
            let outer = tracing::error_span!("outer", request = "r1", otel.trace = "t1", otel.span = "s1", rpc = "a");
            let _entered = outer.enter();
            let inner = tracing::error_span!("inner", rpc = "b", late = tracing::field::Empty);
            inner.record("late", 7);
            inner.in_scope(|| tracing::warn!(remote = "x", "text with \"quotes\"\nand lines"));
            tracing::info!(request = "own", "second");
        });
        let [first, second] = &lines[..] else { panic!("{lines:?}") };
        let field = |line: &Value, name: &str| line[name].clone();
        assert_eq!(["request", "trace", "rpc", "remote"].map(|name| field(first, name)), ["r1", "t1", "b", "x"]);
        assert_eq!((field(first, "late"), field(first, "level")), (7.into(), "WARN".into()));
        assert_eq!(field(first, "message"), "text with \"quotes\"\nand lines");
        assert!(first.get("otel.span").is_none() && first["timestamp"].as_str().unwrap().ends_with('Z'), "{first}");
        assert_eq!((field(second, "request"), field(second, "rpc")), ("own".into(), "a".into()));
    }
}
