//! What passes, and what does not.

use std::sync::atomic::Ordering;

use rustls::version::TLS13;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::{Running, ask1, ask2, open2, parse1, post, send2, start, start_with, within};

#[tokio::test]
async fn only_federation_is_reachable() {
    let running = start().await;
    let good = running.good();
    for path in ["/", "/i/status", "/i/metrics", "/federation"] {
        assert_eq!(running.ask_in_every_way(Some(&good), path).await.status, 404, "{path}");
    }
    assert!(running.recorder.calls().is_empty());
}

#[tokio::test]
async fn what_the_head_decides_is_answered_before_the_body_comes() {
    let running = start().await;
    let mut stream = running.http1(Some(&running.good())).await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: b\r\ncontent-length: 1000\r\n\r\n";
    assert_eq!(ask1(&mut stream, head).await.status, 404);
}

#[tokio::test]
async fn who_does_not_say_for_whom_it_is_or_twice_is_told_so() {
    let running = start().await;
    for host in ["", "host: b\r\nhost: b\r\n", "host: b/c\r\n"] {
        let mut stream = running.http1(Some(&running.good())).await;
        let head = format!("POST /federation/x HTTP/1.1\r\n{host}content-length: 0\r\n\r\n");
        let answer = ask1(&mut stream, &head).await;
        assert_eq!(answer.status, 400, "{host}");
    }
    assert!(running.recorder.calls().is_empty());
    assert_eq!(running.recorder.refused.load(Ordering::Relaxed), 3, "whoever measures is told");
}

#[tokio::test]
async fn a_certificate_in_a_header_is_never_believed() {
    let running = start().await;
    let spoofed = "x-ssl-certificate: -----BEGIN%20CERTIFICATE-----\r\nX-SSL-CERTIFICATE: again\r\nx-other: kept\r\nconnection: close\r\n";
    let mut stream = running.http1(Some(&running.good())).await;
    assert_eq!(ask1(&mut stream, &post("/federation/x", spoofed, "")).await.status, 200);
    let headers = running.recorder.calls().remove(0).headers;
    assert!(!headers.contains_key("x-ssl-certificate"), "{headers:?}");
    assert_eq!(headers["x-other"], "kept");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let running = start().await;
    let mut stream = running.http1(Some(&running.good())).await;
    for round in 0..5 {
        let body = format!("round {round}");
        within(stream.write_all(post("/federation/x", "", &body).as_bytes())).await.unwrap();
        let mut text = String::new();
        while !text.ends_with(&body) {
            let mut piece = [0; 1024];
            let length = within(stream.read(&mut piece)).await.unwrap();
            assert_ne!(length, 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
        assert_eq!(parse1(&text).status, 200);
    }
    assert_eq!(running.recorder.calls().len(), 5);
}

/// They are answered in one task.
#[tokio::test]
async fn a_request_of_http2_that_waits_or_panics_holds_up_no_other_of_its_connection() {
    let running = start().await;
    let (mut client, _connection) = open2(running.http2(Some(&running.good())).await).await;
    let (mut waits, mut panics) = (client.clone(), client.clone());
    let waiting = tokio::spawn(async move { send2(&mut waits, "/federation/wait", "late").await });
    within(running.recorder.began.notified()).await;
    assert_eq!(send2(&mut client, "/federation/x", "first").await.body, "first");
    let panicking = tokio::spawn(async move { send2(&mut panics, "/federation/panic", "").await });
    assert!(within(panicking).await.is_err(), "nobody answers");
    assert_eq!(send2(&mut client, "/federation/x", "second").await.body, "second");
    running.recorder.release.add_permits(1);
    assert_eq!(within(waiting).await.unwrap().body, "late");
}

#[tokio::test]
async fn answers_are_streamed() {
    let running = start().await;
    let mut stream = running.http1(Some(&running.good())).await;
    within(stream.write_all(post("/federation/endless", "", "").as_bytes())).await.unwrap();
    let mut seen = 0;
    while seen < 1 << 20 {
        let mut piece = [0; 16 * 1024];
        let length = within(stream.read(&mut piece)).await.unwrap();
        assert_ne!(length, 0);
        seen += length;
    }
    drop(stream);
    within(running.recorder.endless_dropped.notified()).await;
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish_and_accepts_no_more() {
    let running = start().await;
    let good = running.good();
    let mut one = running.http1(Some(&good)).await;
    within(one.write_all(post("/federation/wait", "", "one").as_bytes())).await.unwrap();
    within(running.recorder.began.notified()).await;
    let two = tokio::spawn(ask2(running.http2(Some(&good)).await, "/federation/wait", "two"));
    within(running.recorder.began.notified()).await;
    let mut idle = running.http1(Some(&good)).await;
    within(idle.write_all(post("/federation/x", "", "").as_bytes())).await.unwrap();
    assert_ne!(within(idle.read(&mut [0; 1024])).await.unwrap(), 0);

    running.shutdown.cancel();
    assert_eq!(within(idle.read_to_end(&mut Vec::new())).await.unwrap(), 0, "an idle connection is closed");
    running.recorder.release.add_permits(2);
    let mut text = String::new();
    within(one.read_to_string(&mut text)).await.unwrap();
    let answer = parse1(&text);
    assert_eq!((answer.status, answer.body.as_str()), (200, "one"));
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    let (answer, connection) = within(two).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "two"));
    within(connection).await.unwrap().unwrap();
    within(running.served).await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn who_has_connected_before_a_shutdown_is_answered_as_the_last() {
    let running = start().await;
    let good = running.good();
    let mut idle = running.http1(Some(&good)).await;
    within(idle.write_all(post("/federation/x", "", "").as_bytes())).await.unwrap();
    assert_ne!(within(idle.read(&mut [0; 1024])).await.unwrap(), 0);
    // These wait in the kernel's queue, or have just been accepted: their handshakes are yet to come.
    let (one, two) = (connected(&running).await, connected(&running).await);
    running.shutdown.cancel();
    let fresh = running.connect_over(one, Some(&good), "http/1.1", &TLS13).await;
    for mut stream in [idle, fresh] {
        let answer = ask1(&mut stream, &post("/federation/x", "", "hello")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
    let two = running.connect_over(two, Some(&good), "h2", &TLS13).await;
    let (answer, connection) = ask2(two, "/federation/x", "hello").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    within(connection).await.unwrap().expect("the end is announced by GOAWAY");
    within(running.served).await.unwrap();
}

/// TCP, and nothing more.
async fn connected(running: &Running) -> TcpStream {
    TcpStream::connect(running.address).await.unwrap()
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let running = start_with(|limits| limits.drain = std::time::Duration::from_millis(50)).await;
    let mut stream = running.http1(Some(&running.good())).await;
    within(stream.write_all(post("/federation/never", "", "").as_bytes())).await.unwrap();
    within(running.recorder.began.notified()).await;
    running.shutdown.cancel();
    within(running.served).await.unwrap();
}
