//! One connection, from the handshake to its last byte.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use http::HeaderMap;
use hyper::{
    body::Incoming,
    service::{HttpService, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use public_api::error::common;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    Shared,
    activity::{Activity, Advice, Expired, Protocol},
    answer::Answer,
    respond::Caller,
    wire::{Wire, lock},
};
use crate::{
    memory::BodyMemory,
    trust::{Judge, Peer, Verdict},
};

/// How a connection ended.
enum End {
    /// HTTP is done with it, one way or the other.
    Done,
    /// It lasted too long.
    Expired(Expired),
}

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
    let handshake = timeout(shared.limits.handshake, acceptor.accept(tcp).into_fallible());
    let accepted = tokio::select! {
        accepted = handshake => accepted,
        () = shutdown.cancelled() => return,
    };
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, tcp))) => {
            debug!(%address, "TLS handshake failed: {}", tls::explain(&error));
            return linger(tcp, shared.limits.linger, &shutdown).await;
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
    let activity = Arc::new(Mutex::new(Activity::new(protocol, Instant::now())));
    let peer = Peer { address, verdict };
    let activity_of_caller = Arc::clone(&activity);
    let caller = Caller::new(Arc::clone(&shared), body_memory, peer, protocol, activity_of_caller, began.elapsed());
    let caller = Arc::new(caller);

    let (wire, slot) = Wire::new(stream, activity);
    let end = match protocol {
        Protocol::Http1 => http1(wire, &caller, &shutdown).await,
        Protocol::Http2 => http2(wire, &caller, &shutdown).await,
    };
    caller.report(&HeaderMap::new());
    let stream = lock(&slot).take();
    if let Some(stream) = stream {
        farewell(stream, end, protocol, &shared, &shutdown).await;
    }
}

async fn http1(wire: Wire, caller: &Arc<Caller>, shutdown: &CancellationToken) -> End {
    /// What the library's buffer needs beyond the headers themselves.
    const BUFFER_BEYOND_HEADERS: usize = 16 * 1024;
    let limits = &caller.shared.limits;
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        // Its deadline would count the time between requests and answer nothing; ours is in `Activity`.
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes + BUFFER_BEYOND_HEADERS);
    drive(http.serve_connection(TokioIo::new(wire), responding(caller)), caller, shutdown).await
}

async fn http2(wire: Wire, caller: &Arc<Caller>, shutdown: &CancellationToken) -> End {
    let limits = &caller.shared.limits;
    let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.abandoned)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    drive(http.serve_connection(TokioIo::new(wire), responding(caller)), caller, shutdown).await
}

/// Answers every request of a connection in its caller's name.
fn responding(
    caller: &Arc<Caller>,
) -> impl HttpService<Incoming, ResBody = Answer, Error = Infallible, Future: Send> + use<> {
    let caller = Arc::clone(caller);
    service_fn(move |request| {
        let caller = Arc::clone(&caller);
        async move { Ok(caller.respond(request).await) }
    })
}

/// Runs a connection, and ends it when it lasts too long, when its last answer was given, or on shutdown.
async fn drive<C>(connection: C, caller: &Caller, shutdown: &CancellationToken) -> End
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut cancelled = pin!(shutdown.cancelled());
    let mut alarm = pin!(sleep_until(Instant::now()));
    let mut winding = false;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                if let Err(error) = result {
                    debug!(address = %caller.peer.address, "connection ended: {error}");
                }
                return Poll::Ready(End::Done);
            }
            let now = Instant::now();
            let last = caller.last.load(Ordering::Relaxed) || cancelled.as_mut().poll(cx).is_ready();
            let advice = lock(&caller.activity).advice(now, &caller.shared.limits);
            let next = match advice {
                Advice::End(expired) => return Poll::Ready(End::Expired(expired)),
                Advice::Continue(next) if winding || !last => next,
                Advice::Continue(_) | Advice::Wind => {
                    winding = true;
                    lock(&caller.activity).wind(now);
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
            };
            alarm.as_mut().reset(next);
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Says what is left to say, and closes.
async fn farewell(
    mut stream: TlsStream<TcpStream>,
    end: End,
    protocol: Protocol,
    shared: &Shared,
    shutdown: &CancellationToken,
) {
    let within = shared.limits.linger;
    if let End::Expired(expired) = end {
        debug!(?expired, "connection ended by us");
        match expired {
            Expired::Head if protocol == Protocol::Http1 => {
                if !matches!(timeout(within, stream.write_all(&head_timeout())).await, Ok(Ok(()))) {
                    return;
                }
            }
            Expired::Closing | Expired::Head | Expired::Idle => {}
            // Who takes nothing or only gives trouble is not waited for.
            Expired::Abandoning | Expired::Stalled => return,
        }
    }
    if matches!(timeout(within, stream.shutdown()).await, Ok(Ok(()))) {
        linger(stream.into_inner().0, within, shutdown).await;
    }
}

/// 408 for a request whose head did not come to its end.
fn head_timeout() -> Vec<u8> {
    let failure = common::REQUEST_TIMEOUT.failure();
    let body = failure.to_json().to_string();
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Ends our side and reads on for a while: a socket that is closed with bytes unread takes back what was sent last.
async fn linger(mut tcp: TcpStream, within: Duration, shutdown: &CancellationToken) {
    let drained = async {
        if tcp.shutdown().await.is_err() {
            return;
        }
        let mut nothing = [0; 4096];
        while matches!(tcp.read(&mut nothing).await, Ok(length) if length > 0) {}
    };
    tokio::select! {
        _ = timeout(within, drained) => {}
        () = shutdown.cancelled() => {}
    }
}
