//! What is written to the log.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, Once},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{DefaultGuard, Interest},
};

/// Remembers warnings of the federator, each as the text of its fields.
#[derive(Clone, Default)]
pub struct Warnings(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    /// What is known of each request, and of which request is spoken now.
    spans: Vec<String>,
    entered: Vec<usize>,
}

impl Warnings {
    /// Begins to listen to this thread.
    ///
    /// A place that logs decides at its first use, by whoever listens to the thread that comes there first, whether it is
    /// ever heard; and tests run on many threads. So somebody listens to all of them, and leaves it open each time.
    pub fn listen() -> (Self, DefaultGuard) {
        static TO_ALL: Once = Once::new();
        TO_ALL.call_once(|| tracing::subscriber::set_global_default(Nobody).unwrap());
        let warnings = Self::default();
        let guard = tracing::subscriber::set_default(warnings.clone());
        (warnings, guard)
    }

    /// What was written since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().lines)
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (metadata.is_span() || *metadata.level() == Level::WARN) && metadata.target().starts_with("federator")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let mut written = self.0.lock().unwrap();
        for span in written.entered.clone() {
            line.0 += &written.spans[span];
        }
        written.lines.push(line.0);
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(String::new());
        attributes.record(&mut line);
        let mut written = self.0.lock().unwrap();
        written.spans.push(line.0);
        span::Id::from_u64(written.spans.len() as u64)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, id: &span::Id) {
        self.0.lock().unwrap().entered.push(id.into_u64() as usize - 1);
    }

    fn exit(&self, _: &span::Id) {
        self.0.lock().unwrap().entered.pop();
    }
}

/// Hears nothing, and lets others hear.
struct Nobody;

impl Subscriber for Nobody {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn event(&self, _: &Event<'_>) {}
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}
