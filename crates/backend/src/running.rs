//! What runs until it is asked to stop, and how it is brought to its end.

use std::{future::Future, time::Duration};

use axum::Router;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::listener::Bound;

/// How long requests may go on after a node was asked to stop.
const DRAIN: Duration = Duration::from_secs(15);

/// How long requests that are cut may take to notice.
const CUT: Duration = Duration::from_secs(2);

/// The tasks of a node. Dropped without [`stop`](Self::stop) they end all the same, but without waiting for requests to
/// be answered.
#[derive(Default)]
pub(crate) struct Running {
    stop: CancellationToken,
    /// Ends what went on after `stop`.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
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

    /// Stops accepting, and lets open requests end within a deadline.
    pub(crate) async fn stop(&self) {
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
