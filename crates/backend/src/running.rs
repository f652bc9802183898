//! What runs until it is asked to stop, and how it is brought to its end.

use std::{future::Future, time::Duration};

use axum::Router;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use web::Readiness;

use crate::listener::Bound;

/// How long requests may go on after a node was asked to stop.
const DRAIN: Duration = Duration::from_secs(15);

/// How long requests that are cut may take to notice.
const CUT: Duration = Duration::from_secs(2);

/// The tasks of a node. Dropped without [`stop`](Self::stop) they end all the same, but without waiting for requests to
/// be answered.
pub(crate) struct Running {
    stop: CancellationToken,
    /// Ends what went on after `stop`.
    cut: CancellationToken,
    tasks: TaskTracker,
    readiness: Readiness,
    /// How long requests are taken as ever after it was asked to stop, so that whoever spreads them can notice.
    delay: Duration,
}

impl Running {
    /// Nothing runs yet. Once it is asked to stop it says so by `readiness`, and takes requests for that `delay` all the same.
    pub(crate) fn new(delay: Duration, readiness: Readiness) -> Self {
        let (stop, cut, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        Self { stop, cut, tasks, readiness, delay }
    }

    /// Whether requests should be sent here.
    pub(crate) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Cancelled once it is asked to stop.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Serves a listener until it is asked to stop and open requests are answered.
    pub(crate) fn listen(&self, listener: Bound, router: Router) {
        self.tasks.spawn(listener.serve(router, self.stop.clone(), self.cut.clone()));
    }

    /// Does something that ends by itself once [`stopping`](Self::stopping) is cancelled.
    pub(crate) fn serve(&self, serving: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(serving);
    }

    /// Does something until it is asked to stop.
    pub(crate) fn until_stopped(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(work));
    }

    /// Says that it ends, stops accepting once that was heard, or once somebody is in a hurry, and lets open requests end
    /// within a deadline.
    pub(crate) async fn stop(&self, hurry: impl Future<Output = ()>) {
        self.readiness.leaves();
        if !self.delay.is_zero() {
            tracing::info!("requests are taken for {} s more (drain_delay)", self.delay.as_secs());
            if timeout(self.delay, hurry).await.is_ok() {
                tracing::info!("in a hurry: no more requests are taken");
            }
        }
        self.stop.cancel();
        self.tasks.close();
        if timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("requests were still open after {} s and are cut", DRAIN.as_secs());
            self.cut.cancel();
            // What is cut ends at once; nothing is closed under it.
            let _ = timeout(CUT, self.tasks.wait()).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut.cancel();
    }
}
