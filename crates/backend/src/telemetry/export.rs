//! Sends spans to the collector, in batches.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::StatusCode;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use types::Domain;

use super::{Collector, encode, spans::Finished};
use crate::{
    client::{Call, NameError, Target},
    limits,
};

/// Sends what [`Spans`](super::Spans) took note of.
pub struct Exporter {
    collector: Collector,
    domain: Option<Domain>,
    receiver: mpsc::Receiver<Finished>,
    /// Spans for which the queue had no room.
    dropped: Arc<AtomicU64>,
}

/// An exporter that runs. Dropped, it sends nothing more.
pub struct Exporting {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Why a batch did not arrive.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("it answered {0}")]
    Status(StatusCode),
}

impl ExportError {
    /// Whether the same batch may be taken later: by what OTLP says of statuses.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Name(_) => true,
        }
    }
}

impl Exporter {
    pub(super) fn new(
        collector: Collector,
        domain: Option<Domain>,
        receiver: mpsc::Receiver<Finished>,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self { collector, domain, receiver, dropped }
    }

    /// Begins to send. To be called in a runtime.
    pub fn spawn(self) -> Exporting {
        let stop = CancellationToken::new();
        let task = tokio::spawn(self.run(stop.clone()));
        Exporting { stop, task }
    }

    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            self.gather(&mut batch, &stop).await;
            if !batch.is_empty() {
                self.deliver(&batch, &stop).await;
                batch.clear();
            } else if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Waits for spans, and a little for more of them.
    async fn gather(&mut self, batch: &mut Vec<Finished>, stop: &CancellationToken) {
        tokio::select! {
            _ = self.receiver.recv_many(batch, limits::SPANS_SENT) => {}
            () = stop.cancelled() => {}
        }
        let more = async {
            while batch.len() < limits::SPANS_SENT {
                let room = limits::SPANS_SENT - batch.len();
                if self.receiver.recv_many(batch, room).await == 0 {
                    // All are there that will ever come.
                    return;
                }
            }
        };
        tokio::select! {
            _ = timeout(limits::SPANS_GATHERED, more) => {}
            () = stop.cancelled() => {}
        }
        while batch.len() < limits::SPANS_SENT
            && let Ok(span) = self.receiver.try_recv()
        {
            batch.push(span);
        }
    }

    /// Tries to send, again and again for a while; once it is to stop, just once.
    async fn deliver(&self, batch: &[Finished], stop: &CancellationToken) {
        let body = encode::request(self.domain.as_ref(), batch);
        let mut pauses = limits::EXPORT_PAUSES.into_iter();
        loop {
            let Err(error) = self.send(&body).await else { break };
            let pause = pauses.next().filter(|_| error.may_pass() && !stop.is_cancelled());
            let Some(pause) = pause else {
                tracing::warn!(collector = %self.collector, spans = batch.len(), %error, "a part of the traces is lost");
                return;
            };
            tracing::debug!(collector = %self.collector, %error, "the collector took no spans; trying again");
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(collector = %self.collector, spans = dropped, "a part of the traces is lost: too many at a time");
        }
    }

    async fn send(&self, body: &serde_json::Value) -> Result<(), ExportError> {
        let Collector { host, port, path } = &self.collector;
        let message = |target: &Target| Call::post(target, format!("{path}/v1/traces"), body);
        let answer = Call::send_to_name(host, *port, limits::EXPORT, message).await?;
        if answer.status().is_success() { Ok(()) } else { Err(ExportError::Status(answer.status())) }
    }
}

impl Exporting {
    /// Sends what is left, within a deadline, and ends.
    pub async fn finish(mut self) {
        self.stop.cancel();
        if timeout(limits::EXPORT_END, &mut self.task).await.is_err() {
            tracing::warn!("the collector is slow; the last of the traces are lost");
        }
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        self.task.abort();
    }
}
