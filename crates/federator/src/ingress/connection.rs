//! One connection, from the handshake to its last byte.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
};

use http::HeaderMap;
use hyper::{
    body::Incoming,
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use listening::{Answer, End, Orderly, Protocol, Streams, Together, Watched, last_words, linger};
use services::Body;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Shared, respond::Caller};
use crate::{
    memory::BodyMemory,
    trust::{Judge, Peer, Verdict},
};

type Wire = listening::Wire<TlsStream<TcpStream>>;

/// Serves a connection until it ends. A shutdown lets requests finish that were begun.
pub(super) async fn serve(
    shared: Arc<Shared>,
    body_memory: BodyMemory,
    tcp: TcpStream,
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
) {
    let began = Instant::now();
    // One generation for handshake and judgement.
    let contexts = shared.contexts.contexts();
    let acceptor = TlsAcceptor::from(Arc::clone(&contexts.acceptor));
    // Whoever is amid a handshake at a shutdown may already have sent his request.
    let stream = match timeout(shared.limits.handshake, acceptor.accept(tcp).into_fallible()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, tcp))) => {
            debug!(%address, "TLS handshake failed: {}", tls::explain(&error));
            return linger(tcp, shared.limits.linger).await;
        }
        Err(_) => return debug!(%address, "TLS handshake took too long"),
    };

    let session = stream.get_ref().1;
    let judge = Judge::new(Arc::clone(&contexts.roots), shared.verify_depth);
    let verdict = match judge.judge(session.peer_certificates().unwrap_or_default(), shared.clock.now()) {
        Ok(leaf) => Verdict::Authenticated(Arc::new(leaf)),
        Err(refusal) => {
            warn!(%address, failure = "AuthenticationFailure", "peer refused: {refusal}");
            Verdict::Refused(refusal)
        }
    };
    let protocol = if session.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
    let watched = Watched::new(Some(protocol));
    let peer = Peer { address, verdict };
    let (wire, slot) = Wire::new(stream, watched.clone());
    let caller = Caller::new(Arc::clone(&shared), body_memory, peer, protocol, watched, began.elapsed());
    let caller = Arc::new(caller);

    let end = match protocol {
        // Each on the heap: this future has room for neither, nor for both.
        Protocol::Http1 => Box::pin(http1(wire, &caller, &shutdown)).await,
        Protocol::Http2 => Box::pin(http2(wire, &caller, &shutdown)).await,
    };
    caller.report(&HeaderMap::new());
    let within = shared.limits.linger;
    if let Some(mut stream) = slot.take()
        && last_words(&mut stream, &end, &caller.watched, within).await
    {
        linger(stream.into_inner().0, within).await;
    }
}

async fn http1(wire: Wire, caller: &Arc<Caller>, shutdown: &CancellationToken) -> End<hyper::Error> {
    /// What the library's buffer needs beyond the headers themselves.
    const BUFFER_BEYOND_HEADERS: usize = 16 * 1024;
    let limits = &caller.shared.limits;
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        // Its deadline would count the time between requests and answer nothing; ours is in `listening`.
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes + BUFFER_BEYOND_HEADERS);
    drive(pin!(http.serve_connection(TokioIo::new(wire), responding(caller))), caller, shutdown).await
}

async fn http2(wire: Wire, caller: &Arc<Caller>, shutdown: &CancellationToken) -> End<hyper::Error> {
    let limits = &caller.shared.limits;
    let streams = Streams::default();
    let mut http = hyper::server::conn::http2::Builder::new(streams.clone());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.abandoned)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    let connection = pin!(http.serve_connection(TokioIo::new(wire), responding(caller)));
    drive(pin!(Together::new(connection, streams)), caller, shutdown).await
}

/// Answers every request of a connection in its caller's name.
fn responding(
    caller: &Arc<Caller>,
) -> impl HttpService<Incoming, ResBody = Answer<Body>, Error = Infallible, Future: Send> + use<> {
    let caller = Arc::clone(caller);
    service_fn(move |request| {
        let caller = Arc::clone(&caller);
        async move { Ok(caller.respond(request).await) }
    })
}

async fn drive<C>(connection: Pin<&mut C>, caller: &Caller, shutdown: &CancellationToken) -> End<hyper::Error>
where
    C: Orderly<Error = hyper::Error>,
{
    let end = listening::drive(connection, &caller.watched, &caller.shared.limits.connections(), shutdown).await;
    match &end {
        End::Done(Ok(())) => {}
        End::Done(Err(error)) => debug!(address = %caller.peer.address, "connection ended: {error}"),
        End::Expired(expired) => debug!(address = %caller.peer.address, ?expired, "connection ended by us"),
    }
    end
}
