//! One HTTP/2 connection to a remote ingress over mutual TLS.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http2::{self, Connection, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use services::OutboundError;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_rustls::client::TlsStream;

use super::{
    failure::{self, Lost},
    pool::Pool,
    watched::Watched,
};
use crate::{discovery::Target, limits::OutboundLimits};

type Wire = TokioIo<Watched<TlsStream<TcpStream>>>;

/// A connection. It takes new calls until it is closed, retired or too old; it ends when the last holder lets go.
#[derive(Debug)]
pub(super) struct Link {
    /// The target it leads to.
    pub(super) target: Target,
    /// Where that is.
    pub(super) address: SocketAddr,
    /// The generation of the key material it was made with.
    pub(super) generation: u64,
    /// Protocol version and cipher suite.
    pub(super) tls: String,
    /// The names in the remote's certificate.
    pub(super) names: Vec<String>,
    opened: Instant,
    sender: SendRequest<Full<Bytes>>,
    streams: AtomicUsize,
    unused_since: Mutex<Instant>,
    retired: AtomicBool,
    broken: Arc<OnceLock<String>>,
}

/// What is known of a connection before HTTP begins.
pub(super) struct Origin {
    pub(super) target: Target,
    pub(super) address: SocketAddr,
    pub(super) generation: u64,
    pub(super) tls: String,
    pub(super) names: Vec<String>,
}

impl Link {
    /// Begins HTTP/2 on a TLS stream and keeps it going in a task of its own, which ends with the connection.
    pub(super) async fn begin(
        origin: Origin,
        stream: TlsStream<TcpStream>,
        limits: &OutboundLimits,
        pool: Weak<Pool>,
    ) -> Result<Arc<Self>, OutboundError> {
        let broken = Arc::default();
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&broken)));
        let streams = u32::try_from(limits.streams).unwrap_or(u32::MAX);
        // The window of the connection has room for all its streams, so that no slow reader holds up the others.
        let window = limits.stream_window.saturating_mul(streams).min(i32::MAX as u32);
        let begun = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(limits.stream_window)
            .initial_connection_window_size(window)
            .max_header_list_size(limits.header_bytes)
            .keep_alive_interval(limits.ping_interval)
            .keep_alive_timeout(limits.ping_timeout)
            .keep_alive_while_idle(true)
            .handshake(io)
            .await;
        let (sender, connection) = begun.map_err(|error| failure::of(&error, &broken))?;
        let Origin { target, address, generation, tls, names } = origin;
        let now = Instant::now();
        let link = Arc::new(Self {
            target,
            address,
            generation,
            tls,
            names,
            opened: now,
            sender,
            streams: AtomicUsize::new(0),
            unused_since: Mutex::new(now),
            retired: AtomicBool::new(false),
            broken,
        });
        tokio::spawn(keep(connection, Arc::downgrade(&link), pool, limits.idle));
        Ok(link)
    }

    /// Sends a request; the answer's head is the result.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Lost> {
        let mut sender = self.sender.clone();
        match sender.try_send_request(request).await {
            Ok(answer) => Ok(answer),
            Err(mut error) => {
                let unsent = error.take_message();
                let error = error.into_error();
                Err(Lost {
                    error: failure::of(&error, &self.broken),
                    untouched: unsent.is_some() || failure::is_untouched(&error),
                })
            }
        }
    }

    /// How many calls and answers are under way.
    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Whether it may take new calls: neither closed nor retired nor too old, and made with current key material.
    pub(super) fn is_usable(&self, generation: u64, limits: &OutboundLimits) -> bool {
        !self.sender.is_closed()
            && !self.retired.load(Ordering::Relaxed)
            && self.generation == generation
            && self.opened.elapsed() < limits.connection_age
    }

    /// Takes no new calls from now on; those under way go on.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Counts a call as long as the result lives.
    pub(super) fn begin_stream(self: &Arc<Self>) -> Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Stream(Arc::clone(self))
    }

    fn unused_since(&self) -> Instant {
        if self.streams() > 0 {
            return Instant::now();
        }
        *self.unused_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call, or an answer's body, on a connection.
#[derive(Debug)]
pub(super) struct Stream(Arc<Link>);

impl std::ops::Deref for Stream {
    type Target = Arc<Link>;

    fn deref(&self) -> &Arc<Link> {
        &self.0
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        *self.0.unused_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Drives a connection to its end. Takes it out of the pool when it has not been used for long; when nobody holds it any
/// more, it ends.
async fn keep(
    connection: Connection<Wire, Full<Bytes>, TokioExecutor>,
    link: Weak<Link>,
    pool: Weak<Pool>,
    idle: Duration,
) {
    tokio::pin!(connection);
    let mut look = Instant::now() + idle;
    loop {
        tokio::select! {
            end = &mut connection => {
                if let Err(error) = end {
                    tracing::debug!(%error, "a connection to a remote ended");
                }
                break;
            }
            () = sleep_until(look) => {
                let now = Instant::now();
                let due = link.upgrade().map(|link| link.unused_since() + idle);
                match due {
                    Some(due) if due > now => look = due,
                    _ => {
                        look = now + idle;
                        forget(&link, &pool);
                    }
                }
            }
        }
    }
    forget(&link, &pool);
}

fn forget(link: &Weak<Link>, pool: &Weak<Pool>) {
    if let (Some(link), Some(pool)) = (link.upgrade(), pool.upgrade()) {
        link.retire();
        pool.forget(&link);
    }
}
