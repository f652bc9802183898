//! One connection, from its first byte to its last.

use std::{convert::Infallible, net::SocketAddr, pin::pin};

use axum::{body::Body, extract::ConnectInfo};
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use listening::{Answer, End, Exchange, Protocol, Watched, Wire};
use public_api::error::common;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Behind;
use crate::limits::{self, Times};

/// Serves a connection until it ends or lasts too long. `stop` lets requests end that were begun.
pub(super) async fn serve<S>(
    stream: S,
    peer: Option<SocketAddr>,
    behind: Behind,
    times: &Times,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Behind { router, durations, http2 } = behind;
    let watched = Watched::new(None);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The library's deadline of a head would also count the time between requests, and not the time before the protocol
    // is chosen; ours are in `Activity`.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(http2.streams)
        .max_header_list_size(http2.headers)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .keep_alive_interval(times.ping_interval)
        .keep_alive_timeout(times.ping_timeout);
    let shared = watched.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let protocol = if request.version() == Version::HTTP_2 { Protocol::Http2 } else { Protocol::Http1 };
        let exchange = Exchange::begin(&shared, protocol);
        let mut request = request.map(Body::new);
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let answer = match listening::check_host(request.version(), request.headers()) {
            Ok(()) => Ok(router.clone().oneshot(request)),
            // What is measured is behind the router, which this does not reach.
            Err(error) => Err((error, durations.as_ref().map(|durations| durations.begin(request.method(), None)))),
        };
        async move {
            let mut answer = match answer {
                Ok(answer) => answer.await.map_err(|never: Infallible| match never {})?,
                Err((error, measurement)) => {
                    let answer = web::failure(&common::BAD_REQUEST.because(error.to_string()));
                    if let Some(measurement) = measurement {
                        measurement.end(answer.status());
                    }
                    answer
                }
            };
            if exchange.is_last() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| Answer::new(body, exchange)))
        }
    });
    let (wire, slot) = Wire::new(stream, watched.clone());
    // The connection is gone before its stream is looked for, which it puts back when it goes.
    let end = {
        let connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(wire), service));
        listening::drive(connection, &watched, &times.of_connections(), stop).await
    };
    match &end {
        End::Done(Ok(())) => {}
        End::Done(Err(error)) => tracing::debug!(%error, "a client's connection broke"),
        End::Expired(expired) => tracing::debug!(?expired, "a client's connection is ended"),
    }
    // Also where a request was answered before its body had come.
    if let Some(mut stream) = slot.take()
        && listening::last_words(&mut stream, &end, &watched, times.linger).await
    {
        listening::linger(stream, times.linger).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{
        Router,
        routing::{get, post},
    };
    use prometheus::{Registry, TextEncoder};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    use web::metrics::Durations;

    use super::{super::Http2, *};

    const SHORT: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(3600);
    /// Longer than anything here takes.
    const SOON: Duration = Duration::from_secs(20);

    /// Nothing ends a connection but what a test shortens.
    fn unhurried() -> Times {
        Times {
            headers: LONG,
            idle: LONG,
            answer_idle: LONG,
            linger: LONG,
            winding: LONG,
            ping_interval: LONG,
            ping_timeout: LONG,
        }
    }

    fn behind(router: Router) -> Behind {
        Behind { router, durations: None, http2: Http2::default() }
    }

    /// A client's end of a connection, which is over when the task is.
    fn connect(times: Times) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        // None of these clients reads on.
        let times = Times { linger: SHORT, ..times };
        let (client, server) = tokio::io::duplex(1 << 10);
        let large = || async { vec![b'x'; 4 << 20] };
        let router = Router::new().route("/", get(|| async { "hello" })).route("/large", get(large));
        let stop = CancellationToken::new();
        (client, tokio::spawn(async move { serve(server, None, behind(router), &times, &stop).await }))
    }

    async fn ends(what: &str, serving: tokio::task::JoinHandle<()>) {
        timeout(SOON, serving).await.unwrap_or_else(|_| panic!("{what} goes on")).unwrap();
    }

    const H2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    #[tokio::test]
    async fn who_never_chooses_a_protocol_or_never_asks_is_sent_away() {
        let beginnings = [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", H2, b"GET / HTTP/1.1\r\nHost: a\r\n"];
        for beginning in beginnings {
            let (mut client, serving) = connect(Times { headers: SHORT, ..unhurried() });
            client.write_all(beginning).await.unwrap();
            ends(&String::from_utf8_lossy(beginning), serving).await;
        }
    }

    async fn ask(client: &mut DuplexStream) {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "ended early");
        }
    }

    #[tokio::test]
    async fn who_does_not_end_the_head_of_a_request_is_told_so() {
        for (first, beginning, told) in [
            (false, &b"P"[..], true),
            (false, b"GET / HTTP/1.1\r\nHost: a\r\n", true),
            (true, b"GET / HT", true),
            (false, b"", false),
            (false, H2, false),
        ] {
            let what = String::from_utf8_lossy(beginning);
            let (mut client, serving) = connect(Times { headers: SHORT, ..unhurried() });
            if first {
                ask(&mut client).await;
            }
            client.write_all(beginning).await.unwrap();
            let mut answer = Vec::new();
            timeout(SOON, client.read_to_end(&mut answer)).await.expect("it goes on").unwrap();
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!(answer.starts_with("HTTP/1.1 408 "), told, "{what}: {answer}");
            assert_eq!(answer.contains("request-timeout"), told, "{what}: {answer}");
            drop(client);
            ends(&what, serving).await;
        }
    }

    #[tokio::test]
    async fn between_requests_the_time_of_a_head_does_not_count() {
        let (mut client, serving) = connect(Times { headers: SHORT, idle: 10 * SHORT, ..unhurried() });
        for _ in 0..3 {
            ask(&mut client).await;
            assert!(timeout(2 * SHORT, client.read_u8()).await.is_err(), "nothing ends it");
        }
        ends("an idle connection", serving).await;
    }

    #[tokio::test]
    async fn the_head_of_a_later_request_has_its_time_as_well() {
        let (mut client, serving) = connect(Times { headers: SHORT, ..unhurried() });
        ask(&mut client).await;
        client.write_all(b"GET / HT").await.unwrap();
        ends("half a head", serving).await;
    }

    #[tokio::test]
    async fn who_takes_no_answer_is_sent_away() {
        let (mut client, serving) = connect(Times { answer_idle: SHORT, ..unhurried() });
        client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        ends("an answer that nobody takes", serving).await;
    }

    #[tokio::test]
    async fn who_takes_an_answer_slowly_may_stay_until_it_stops() {
        let (mut client, mut serving) = connect(Times { answer_idle: 10 * SHORT, ..unhurried() });
        client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        for _ in 0..15 {
            client.read_exact(&mut [0; 1 << 10]).await.unwrap();
            assert!(timeout(SHORT, &mut serving).await.is_err(), "ended while it was being taken");
        }
        ends("an answer that nobody takes any more", serving).await;
    }

    /// What an HTTP/2 client says to get `/` as its first request.
    const H2_GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";

    #[tokio::test]
    async fn who_gives_an_http_2_answer_too_little_room_is_sent_away_though_it_takes_all_else() {
        // SETTINGS with INITIAL_WINDOW_SIZE: none of the answer fits, or a part.
        for window in [0, 1] {
            let (mut client, serving) = connect(Times { answer_idle: SHORT, ..unhurried() });
            client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0").await.unwrap();
            client.write_all(&[window]).await.unwrap();
            client.write_all(H2_GET).await.unwrap();
            let mut taken = Vec::new();
            timeout(SOON, client.read_to_end(&mut taken)).await.expect("it goes on").unwrap();
            // DATA of one byte.
            let began = taken.windows(10).any(|bytes| bytes == b"\0\0\x01\0\0\0\0\0\x01h");
            assert_eq!(began, window > 0, "{taken:?}");
            ends("an answer that has no room", serving).await;
        }
    }

    #[tokio::test]
    async fn who_has_taken_its_http_2_answer_may_stay() {
        let (mut client, _serving) = connect(Times { answer_idle: SHORT, ..unhurried() });
        client.write_all(&[H2, H2_GET].concat()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.windows(5).any(|bytes| bytes == b"hello") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "ended early");
        }
        let end = async { while client.read_buf(&mut answer).await.is_ok_and(|length| length > 0) {} };
        assert!(timeout(5 * SHORT, end).await.is_err(), "nothing ends it");
    }

    #[tokio::test]
    async fn last_words_arrive_although_the_client_keeps_sending() {
        const LENGTH: usize = 8 << 20;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        // It answers without looking at the body.
        let router = Router::new().route("/", post(|| async { "last words" }));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(async move { serve(server, Some(peer), behind(router), &unhurried(), &stop).await });
        let (mut answers, mut sends) = client.into_split();
        let sending = tokio::spawn(async move {
            sends
                .write_all(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes())
                .await?;
            for _ in 0..LENGTH / 1024 {
                sends.write_all(&[b'x'; 1024]).await?;
            }
            Ok::<_, std::io::Error>(())
        });
        let mut answer = String::new();
        timeout(SOON, answers.read_to_string(&mut answer))
            .await
            .expect("it goes on")
            .expect("the answer is taken back");
        assert!(answer.ends_with("last words"), "{answer}");
        timeout(SOON, sending).await.expect("it goes on").unwrap().expect("somebody reads on");
        drop(answers);
        ends("a connection that its client left", serving).await;
    }

    #[tokio::test]
    async fn an_http_2_client_that_answers_no_ping_is_gone() {
        let times = Times { ping_interval: SHORT, ping_timeout: SHORT, ..unhurried() };
        let (mut client, serving) = connect(times);
        client.write_all(H2).await.unwrap();
        ends("a dead HTTP/2 connection", serving).await;
    }

    /// What becomes of a request with a header of so many bytes, by HTTP/2 in clear.
    async fn status_with(header: usize, http2: Http2) -> u16 {
        let (client, server) = tokio::io::duplex(1 << 16);
        let length = |headers: http::HeaderMap| async move { headers["x-ssl-certificate"].len().to_string() };
        let router = Router::new().route("/", get(length));
        let stop = CancellationToken::new();
        let behind = Behind { http2, ..behind(router) };
        let serving = async { serve(server, None, behind, &unhurried(), &stop).await };
        let asking = async {
            let io = TokioIo::new(client);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            let driver = tokio::spawn(connection);
            let request = Request::get("http://a/").header("x-ssl-certificate", "x".repeat(header));
            let answer = sender.send_request(request.body(String::new()).unwrap()).await.unwrap();
            driver.abort();
            answer.status().as_u16()
        };
        tokio::select! {
            () = serving => panic!("it ended"),
            status = asking => status,
        }
    }

    #[tokio::test]
    async fn a_header_holds_a_certificate_where_proxies_bring_them() {
        let with_certificates = Http2 { headers: limits::HEADERS_WITH_CERTIFICATE, ..Http2::default() };
        // What the other headers of the request count, name, value and 32 bytes each.
        let beside = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")];
        let beside: usize = beside.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
        // The library's limit is the first length that it refuses.
        let room = |limit: u32| usize::try_from(limit).unwrap() - 1 - beside - "x-ssl-certificate".len() - 32;
        let (most, usual) = (room(limits::HEADERS_WITH_CERTIFICATE), room(limits::HEADERS));
        assert!(most > 32 * 1024);
        for (header, http2, status) in [
            (32 * 1024, with_certificates, 200),
            (most, with_certificates, 200),
            (most + 1, with_certificates, 431),
            (usual, Http2::default(), 200),
            (usual + 1, Http2::default(), 431),
        ] {
            assert_eq!(status_with(header, http2).await, status, "{header}");
        }
    }

    #[tokio::test]
    async fn who_does_not_say_for_whom_it_is_or_twice_is_told_so() {
        for (head, status) in [
            ("HTTP/1.1\r\nHost: a", "200"),
            ("HTTP/1.1\r\nX-Host: a", "400"),
            ("HTTP/1.1\r\nHost: a\r\nHost: a", "400"),
            ("HTTP/1.0\r\nX-Host: a", "200"),
        ] {
            let (mut client, _serving) = connect(unhurried());
            client.write_all(format!("GET / {head}\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer[9..], status.as_bytes(), "{head}");
        }
    }

    #[tokio::test]
    async fn such_refusals_are_measured() {
        let (mut client, server) = tokio::io::duplex(1 << 10);
        let (durations, registry) = (Durations::default(), Registry::new());
        durations.register(&registry);
        let behind = Behind { durations: Some(durations), ..behind(Router::new()) };
        let serving = tokio::spawn(async move {
            serve(server, None, behind, &unhurried(), &CancellationToken::new()).await;
        });
        client.write_all(b"DELETE / HTTP/1.1\r\nX-Host: a\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        let shown = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let counted = "_count{handler=\"N/A\",method=\"DELETE\",status_code=\"400\"} 1";
        assert!(shown.contains(counted), "{shown}");
        serving.abort();
    }
}
