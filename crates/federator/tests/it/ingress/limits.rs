//! What takes too long or is too much.

use std::time::Duration;

use bytes::Bytes;
use federator::limits::MemoryLimits;
use http::Request;
use rustls::version::TLS12;
use tls::issue::Issued;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{
    floods,
    support::{AT_MOST, NAME, Running, answer1, ask1, ask2, open_sockets, post, start, start_with, within},
};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_slow_handshake_is_closed() {
    let running = start_with(|limits| limits.handshake = SHORT).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(within(silent.read_to_end(&mut Vec::new())).await.unwrap(), 0);
    // The beginning of a ClientHello, and no more.
    let mut begun = TcpStream::connect(running.address).await.unwrap();
    begun.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).await.unwrap();
    let _ = within(begun.read_to_end(&mut Vec::new())).await;
}

#[tokio::test]
async fn slow_headers_are_408() {
    let running = start_with(|limits| limits.headers = SHORT).await;
    let good = running.good();
    for version in [&TLS12, &rustls::version::TLS13] {
        let mut stream = running.connect(Some(&good), "http/1.1", version).await;
        let answer = ask1(&mut stream, "POST /federation/x HTTP/1.1\r\nhost: b\r\nx-").await;
        assert!(answer.head.contains("connection: close"));
        let (status, label, _) = answer.error();
        assert_eq!((status, label.as_str()), (408, "request-timeout"));
    }
}

#[tokio::test]
async fn headers_that_trickle_are_408() {
    let running = start_with(|limits| limits.headers = SHORT).await;
    let stream = running.http1(Some(&running.good())).await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let trickle = tokio::spawn(async move {
        let mut text = "POST /federation/x HTTP/1.1\r\nhost: b\r\n".to_owned() + &"x: y\r\n".repeat(1000);
        // Ends when the ingress closes.
        while writer.write_all(text.drain(..1).as_str().as_bytes()).await.is_ok() && !text.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let mut text = String::new();
    within(reader.read_to_string(&mut text)).await.unwrap();
    assert_eq!(super::support::parse1(&text).status, 408);
    trickle.abort();
}

#[tokio::test]
async fn an_unfinished_header_block_ends_an_http2_connection() {
    // No stream exists yet that could be answered; the peer cannot answer pings amid its header block.
    let running = start_with(|limits| (limits.ping_interval, limits.ping_timeout) = (SHORT, SHORT)).await;
    let mut stream = floods::open(&running).await;
    // The first request is whole, so that it is not for want of one that the connection ends.
    let request = floods::ask(0);
    let begun = floods::frame(floods::HEADERS, 0, 3, &[0x83]);
    stream.write_all(&[request, begun].concat()).await.unwrap();
    let _ = within(stream.read_to_end(&mut Vec::new())).await;
    assert_eq!(running.recorder.calls().len(), 1);
}

#[tokio::test]
async fn a_silent_body_is_408() {
    let running = start_with(|limits| limits.body_idle = SHORT).await;
    let good = running.good();
    let mut one = running.http1(Some(&good)).await;
    let (status, label, _) =
        ask1(&mut one, "POST /federation/x HTTP/1.1\r\nhost: b\r\ncontent-length: 10\r\n\r\nhalf").await.error();
    assert_eq!((status, label.as_str()), (408, "request-timeout"));

    let (client, connection) = h2::client::handshake(running.http2(Some(&good)).await).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = Request::post(format!("https://{NAME}/federation/x")).body(()).unwrap();
    let (answer, mut sent) = client.send_request(request.clone(), false).unwrap();
    sent.send_data(Bytes::from_static(b"half"), false).unwrap();
    assert_eq!(within(answer).await.unwrap().status(), 408);
    // The connection serves on.
    let (answer, _) = client.send_request(request, true).unwrap();
    assert_eq!(within(answer).await.unwrap().status(), 200);
    assert_eq!(running.recorder.calls().len(), 1);
}

#[tokio::test]
async fn a_body_that_trickles_is_408_in_the_end() {
    let running = start_with(|limits| limits.body_total = SHORT).await;
    let stream = running.http1(Some(&running.good())).await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let head = "POST /federation/x HTTP/1.1\r\nhost: b\r\ncontent-length: 1000\r\n\r\n";
    writer.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let mut text = String::new();
    within(reader.read_to_string(&mut text)).await.unwrap();
    assert_eq!(super::support::parse1(&text).status, 408);
    trickle.abort();
}

#[tokio::test]
async fn oversized_headers_are_431() {
    let running = start().await;
    let good = running.good();
    let large = "x".repeat(60 * 1024);
    let fits = format!("x-large: {large}\r\nconnection: close\r\n");
    let mut stream = running.http1(Some(&good)).await;
    assert_eq!(ask1(&mut stream, &post("/federation/x", &fits, "")).await.status, 200);

    let more = "x".repeat(5 * 1024);
    for headers in [
        format!("x-large: {large}\r\nx-more: {more}\r\n"),
        format!("x-large: {large}{large}\r\n"),
        "x: y\r\n".repeat(10_000),
    ] {
        let mut stream = running.http1(Some(&good)).await;
        assert_eq!(ask1(&mut stream, &post("/federation/x", &headers, "")).await.status, 431);
    }
    let (client, connection) = h2::client::handshake(running.http2(Some(&good)).await).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = Request::post(format!("https://{NAME}/federation/x"))
        .header("x-large", &large)
        .header("x-larger", &large)
        .body(())
        .unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    assert_eq!(within(answer).await.unwrap().status(), 431);
    assert_eq!(running.recorder.calls().len(), 1);
}

#[tokio::test]
async fn oversized_bodies_are_413() {
    let running = start_with(|limits| limits.body_bytes = 1000).await;
    let good = running.good();
    for (path, length, status) in [
        ("/federation/x", 1000, 200),
        ("/federation/x", 1001, 413),
        ("/federation/x", 100_000, 413),
        ("/federation/large", 4096, 200),
        ("/federation/large", 4097, 413),
    ] {
        let body = "x".repeat(length);
        let mut one = running.http1(Some(&good)).await;
        let answer = ask1(&mut one, &post(path, "connection: close\r\n", &body)).await;
        assert_eq!(answer.status, status, "{path} {length}");
        // Without a declared length the same counts.
        let mut chunked = running.http1(Some(&good)).await;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: b\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        );
        assert_eq!(ask1(&mut chunked, &request).await.status, status, "{path} {length} chunked");
        let (answer, _connection) = ask2(running.http2(Some(&good)).await, path, &body).await;
        assert_eq!(answer.status, status, "{path} {length} over HTTP/2");
        if status == 413 {
            assert_eq!(answer.error().1, "request-entity-too-large");
        }
    }
    assert_eq!(running.recorder.calls().len(), 6);
}

#[tokio::test]
async fn a_body_declared_too_large_is_not_read() {
    let running = start().await;
    let mut stream = running.http1(Some(&running.good())).await;
    let head = "POST /federation/x HTTP/1.1\r\nhost: b\r\ncontent-length: 99999999999\r\n\r\n";
    assert_eq!(ask1(&mut stream, head).await.status, 413);
}

#[tokio::test]
async fn bodies_in_memory_are_bounded() {
    let running = start_with(|limits| {
        (limits.body_memory, limits.body_idle) = (MemoryLimits::of_one_size(1500, 1500), SHORT * 5)
    })
    .await;
    let good = running.good();
    let stream = running.http2(Some(&good)).await;
    let held = tokio::spawn(async move { ask2(stream, "/federation/wait", &"x".repeat(1000)).await });
    within(running.recorder.began.notified()).await;
    let mut stream = running.http1(Some(&good)).await;
    let answer = ask1(&mut stream, &post("/federation/x", "", &"x".repeat(1000))).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 1"));
    running.recorder.release.add_permits(1);
    assert_eq!(within(held).await.unwrap().0.status, 200);
    let mut stream = running.http1(Some(&good)).await;
    let request = post("/federation/x", "connection: close\r\n", &"x".repeat(1000));
    assert_eq!(ask1(&mut stream, &request).await.status, 200);
}

#[tokio::test]
async fn a_request_waits_for_memory() {
    let running = start_with(|limits| limits.body_memory = MemoryLimits::of_one_size(1500, 1500)).await;
    let good = running.good();
    let stream = running.http2(Some(&good)).await;
    let held = tokio::spawn(async move { ask2(stream, "/federation/wait", &"x".repeat(1000)).await });
    within(running.recorder.began.notified()).await;
    let mut waiting = running.http1(Some(&good)).await;
    let request = post("/federation/x", "connection: close\r\n", &"x".repeat(1000));
    within(waiting.write_all(request.as_bytes())).await.unwrap();
    assert!(tokio::time::timeout(SHORT, waiting.read(&mut [0])).await.is_err(), "nobody answers yet");
    running.recorder.release.add_permits(1);
    assert_eq!(within(held).await.unwrap().0.status, 200);
    assert_eq!(answer1(&mut waiting).await.status, 200);
}

#[tokio::test]
async fn what_is_not_let_in_costs_no_memory() {
    let running = start_with(|limits| limits.body_memory = MemoryLimits::of_one_size(1500, 1500)).await;
    let good = running.good();
    let mut kept = Vec::new();
    // Bodies that do not end, of one who may not call.
    let (client, connection) = h2::client::handshake(running.http2(Some(&good)).await).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    for _ in 0..50 {
        let request = Request::post(format!("https://{NAME}/nowhere")).body(()).unwrap();
        let (answer, mut sent) = client.send_request(request, false).unwrap();
        sent.send_data(Bytes::from(vec![b'x'; 1000]), false).unwrap();
        client = client.ready().await.unwrap();
        kept.push((answer, sent));
    }
    let mut stream = running.http1(Some(&good)).await;
    let request = post("/federation/x", "connection: close\r\n", &"x".repeat(1000));
    assert_eq!(ask1(&mut stream, &request).await.status, 200);
}

/// Linux has more than one address on loopback.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_address_does_not_take_the_memory_of_all() {
    let running = start_with(|limits| {
        (limits.body_memory, limits.body_idle) = (MemoryLimits::of_one_size(4000, 1500), SHORT * 5);
    })
    .await;
    let good = running.good();
    let stream = running.http2(Some(&good)).await;
    let held = tokio::spawn(async move { ask2(stream, "/federation/wait", &"x".repeat(1000)).await });
    within(running.recorder.began.notified()).await;
    let request = post("/federation/x", "connection: close\r\n", &"x".repeat(1000));
    let mut same = running.http1(Some(&good)).await;
    assert_eq!(ask1(&mut same, &request).await.status, 503, "another connection, the same address");
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let tcp = socket.connect(running.address).await.unwrap();
    let mut other = running.connect_over(tcp, Some(&good), "http/1.1", &TLS12).await;
    assert_eq!(ask1(&mut other, &request).await.status, 200);
    running.recorder.release.add_permits(1);
    assert_eq!(within(held).await.unwrap().0.status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let running = start_with(|limits| limits.idle = SHORT).await;
    let good = running.good();
    let mut one = running.http1(Some(&good)).await;
    within(one.write_all(post("/federation/x", "", "").as_bytes())).await.unwrap();
    assert_eq!(answer1(&mut one).await.status, 200, "read to the end of the connection");
    let (answer, connection) = ask2(running.http2(Some(&good)).await, "/federation/x", "").await;
    assert_eq!(answer.status, 200);
    within(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_dropped() {
    let running = start_with(|limits| limits.answer_idle = SHORT).await;
    let good = running.good();
    let mut one = running.http1(Some(&good)).await;
    within(one.write_all(post("/federation/endless", "", "").as_bytes())).await.unwrap();
    within(running.recorder.endless_dropped.notified()).await;
    // HTTP/2: the connection is read, the stream is given no window.
    let (client, connection) = h2::client::handshake(running.http2(Some(&good)).await).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = Request::post(format!("https://{NAME}/federation/endless")).body(()).unwrap();
    let (answer, _sent) = client.send_request(request, true).unwrap();
    let _kept = within(answer).await.unwrap();
    within(running.recorder.endless_dropped.notified()).await;
    let _ = within(connection).await.unwrap();
}

/// A peer with a window for answers of that many bytes that asks once and never opens the window. How long it is until
/// the connection ends, while pings are answered.
async fn ends_with_window(running: &Running, shows: Option<&Issued>, window: u32) -> Duration {
    let stream = running.http2(shows).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (client, connection) = within(builder.handshake::<_, Bytes>(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let began = Instant::now();
    let mut client = client.ready().await.unwrap();
    let request = Request::post(format!("https://{NAME}/federation/x")).body(()).unwrap();
    let (answer, mut sent) = client.send_request(request, false).unwrap();
    let _ = sent.send_data(Bytes::from(vec![b'x'; 20_000]), true);
    let _kept = within(answer).await.unwrap();
    let _ = within(connection).await.unwrap();
    began.elapsed()
}

#[tokio::test]
async fn an_answer_of_one_piece_that_nobody_takes_ends_the_connection() {
    let running = start_with(|limits| limits.answer_idle = SHORT * 3).await;
    // With one byte the library hands the piece on and forgets it.
    for window in [0, 1, 19_999] {
        let took = ends_with_window(&running, Some(&running.good()), window).await;
        assert!(took >= SHORT * 3, "{took:?} with a window of {window}");
    }
    assert_eq!(running.recorder.calls().len(), 3);
}

#[tokio::test]
async fn a_refused_peer_that_does_not_take_its_refusal_is_not_waited_for() {
    let running = start_with(|limits| limits.linger = SHORT).await;
    for window in [0, 1] {
        ends_with_window(&running, None, window).await;
    }
    assert!(running.recorder.calls().is_empty());
}

#[tokio::test]
async fn requests_put_no_end_off_that_is_due() {
    // Each request that is answered makes the connection young again; the answer that is not taken stays old.
    let running = start_with(|limits| limits.answer_idle = SHORT * 3).await;
    let (client, connection) = h2::client::handshake(running.http2(Some(&running.good())).await).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = || Request::post(format!("https://{NAME}/federation/x")).body(()).unwrap();
    let (answer, mut sent) = client.send_request(request(), false).unwrap();
    // More than the window of the answer's stream.
    let _ = sent.send_data(Bytes::from(vec![b'x'; 100_000]), true);
    let _kept = within(answer).await.unwrap();
    let asking = async {
        while let Ok(mut ready) = client.clone().ready().await {
            let Ok((answer, _)) = ready.send_request(request(), true) else { break };
            if answer.await.is_err() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    within(asking).await;
    let _ = within(connection).await.unwrap();
}

#[tokio::test]
async fn an_answer_over_http1_that_nobody_takes_ends_the_connection() {
    const LARGE: usize = 16 << 20;
    let running = start_with(|limits| {
        (limits.answer_idle, limits.body_bytes, limits.headers) = (SHORT * 3, LARGE, AT_MOST * 2);
    })
    .await;
    let mut stream = running.http1(Some(&running.good())).await;
    within(stream.write_all(post("/federation/x", "", &"x".repeat(LARGE)).as_bytes())).await.unwrap();
    within(stream.flush()).await.unwrap();
    within(running.recorder.began.notified()).await;
    // Without reading anything: writing tells whether there is still somebody.
    within(async {
        while stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_counted_per_address() {
    // It must not be for the handshake that the third one is closed.
    let running = start_with(|limits| (limits.connections_per_address, limits.handshake) = (2, AT_MOST * 2)).await;
    let good = running.good();
    let (one, _two) = (running.http1(Some(&good)).await, running.http1(Some(&good)).await);
    let mut third = TcpStream::connect(running.address).await.unwrap();
    let _ = within(third.read_to_end(&mut Vec::new())).await;
    drop(one);
    // Room again, as soon as the ingress has noticed.
    loop {
        let mut next = TcpStream::connect(running.address).await.unwrap();
        let closed = tokio::time::timeout(SHORT, next.read(&mut [0])).await;
        if closed.is_err() {
            break;
        }
    }
}

#[tokio::test]
async fn connections_are_bounded_and_others_wait() {
    let running = start_with(|limits| limits.connections = 1).await;
    let good = running.good();
    let mut first = running.http1(Some(&good)).await;
    within(first.write_all(post("/federation/wait", "connection: close\r\n", "").as_bytes())).await.unwrap();
    within(running.recorder.began.notified()).await;
    let mut waiting = TcpStream::connect(running.address).await.unwrap();
    // Not a TLS handshake; whoever is accepted is told so.
    waiting.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(tokio::time::timeout(SHORT, waiting.read(&mut [0])).await.is_err(), "nobody answers yet");
    running.recorder.release.add_permits(1);
    assert_eq!(answer1(&mut first).await.status, 200);
    drop(first);
    within(waiting.read(&mut [0])).await.unwrap();
}

#[tokio::test]
async fn garbage_leaves_nothing_behind() {
    const AT_A_TIME: usize = 100;
    // As many as wanted: `FERRULE_GARBAGE_HANDSHAKES=10000`.
    let handshakes = std::env::var("FERRULE_GARBAGE_HANDSHAKES").map_or(300, |number| number.parse().unwrap());
    let running = start().await;
    let mut kept = Vec::new();
    for round in 0..handshakes {
        let mut tcp = TcpStream::connect(running.address).await.unwrap();
        let garbage: Vec<u8> = match round % 4 {
            0 => b"GET / HTTP/1.1\r\nhost: b\r\n\r\n".to_vec(),
            1 => (0..500).map(|index: usize| (index * 7919 + round) as u8).collect(),
            // A record that promises a ClientHello and holds none.
            2 => [&[0x16, 0x03, 0x01, 0x00, 0x20, 0x01, 0x00, 0x00, 0x1c][..], &[round as u8; 28]].concat(),
            // Gone at once.
            _ => Vec::new(),
        };
        let _ = tcp.write_all(&garbage).await;
        if round % 4 != 3 {
            kept.push(tcp);
        }
        if kept.len() == AT_A_TIME || round + 1 == handshakes {
            for mut tcp in kept.drain(..) {
                // An alert, or nothing; then the ingress closes although we do not.
                let _ = within(tcp.read_to_end(&mut Vec::new())).await;
            }
        }
    }
    let good = running.good();
    let mut stream = running.http1(Some(&good)).await;
    assert_eq!(ask1(&mut stream, &post("/federation/x", "connection: close\r\n", "")).await.status, 200);
    drop(stream);
    #[cfg(target_os = "linux")]
    within(async {
        while open_sockets(running.address) > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
