//! The TLS listener that other backends call: it judges the peer, asks [`InboundService`] about the head of a request,
//! and reads its body within limits for those that are let in.
//!
//! The handshake is completed with any peer, so that one whose certificate is refused can be told why: its first request
//! is answered with 400 `authentication-failure`, and the connection ends. It reaches nothing else.

mod admission;
mod connection;
mod respond;
mod service;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use services::HopObserver;
use tls::ContextsHandle;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info};
use types::{Clock, Domain};

use self::admission::{Admission, Admitted};
pub use self::service::{AdmittedCall, AuthenticatedPeer, InboundService};
use crate::limits::IngressLimits;

/// What an ingress is made of.
pub struct Ingress {
    /// The own backend domain, for the observer.
    pub backend: Domain,
    /// Certificates and whom to trust.
    pub contexts: ContextsHandle,
    /// How many signatures may lie between a root and a peer's leaf
    /// ([`DEFAULT_VERIFY_DEPTH`](crate::trust::DEFAULT_VERIFY_DEPTH)).
    pub verify_depth: usize,
    /// Who answers.
    pub inbound: Arc<dyn InboundService>,
    /// How much of everything.
    pub limits: IngressLimits,
    /// For the dates of certificates.
    pub clock: Arc<dyn Clock>,
    /// Is told of each judged peer.
    pub observer: Arc<dyn HopObserver>,
}

struct Shared {
    backend: Domain,
    contexts: ContextsHandle,
    verify_depth: usize,
    inbound: Arc<dyn InboundService>,
    limits: IngressLimits,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn HopObserver>,
}

impl Ingress {
    /// Serves connections until `shutdown` is cancelled. Then it refuses who comes, answers who had connected and what was
    /// begun, for [`IngressLimits::drain`] at most, and returns when the last connection is closed.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let admission = Admission::new(&self.limits);
        let shared = Arc::new(Shared {
            backend: self.backend,
            contexts: self.contexts,
            verify_depth: self.verify_depth,
            inbound: self.inbound,
            limits: self.limits,
            clock: self.clock,
            observer: self.observer,
        });
        let open = Open { shared, tracker: TaskTracker::new(), shutdown, abandon: CancellationToken::new() };
        tokio::select! {
            () = accept(&listener, &admission, &open) => {}
            () = open.shutdown.cancelled() => {}
        }
        for (tcp, address) in listening::queued(listener) {
            if let Some(place) = admission.room_now()
                && let Some(admitted) = admission.admit(place, address.ip())
            {
                open.serve(admitted, tcp, address);
            }
        }
        open.end().await;
    }
}

/// The connections that are open.
struct Open {
    shared: Arc<Shared>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    /// Ends what goes on for too long after a shutdown.
    abandon: CancellationToken,
}

impl Open {
    fn serve(&self, admitted: Admitted, tcp: TcpStream, address: SocketAddr) {
        // Answers are small and wait for nobody.
        let _ = tcp.set_nodelay(true);
        let (shared, shutdown, abandon) = (Arc::clone(&self.shared), self.shutdown.clone(), self.abandon.clone());
        // On the heap before there is a task, which else would have room for it more than once.
        let served = Box::pin(connection::serve(shared, admitted.body_memory(), tcp, address, shutdown));
        self.tracker.spawn(async move {
            let _admitted = admitted;
            abandon.run_until_cancelled_owned(served).await;
        });
    }

    async fn end(&self) {
        self.tracker.close();
        let open = self.tracker.len();
        if timeout(self.shared.limits.drain, self.tracker.wait()).await.is_err() {
            info!(connections = self.tracker.len(), "closing connections that are still busy");
            self.abandon.cancel();
            self.tracker.wait().await;
        }
        info!(connections = open, "ingress has ended");
    }
}

async fn accept(listener: &TcpListener, admission: &Admission, open: &Open) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let Some(place) = admission.room().await else { return };
        let (tcp, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            // The peer has gone already.
            Err(error) if listening::is_of_one_connection(&error) => continue,
            // Most likely the process has no file descriptor left: others must close theirs first.
            Err(error) => {
                error!("cannot accept connections, trying again in {pause:?}: {error}");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        pause = SHORTEST_PAUSE;
        if let Some(admitted) = admission.admit(place, address.ip()) {
            open.serve(admitted, tcp, address);
        }
    }
}

/// First pause after a failure to accept; doubled with each further one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause after a failure to accept.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
