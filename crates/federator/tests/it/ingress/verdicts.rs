//! Who is believed, and what the others are told.

use std::time::Duration;

use services::Step;
use tls::issue::{Authority, AuthorityRequest, Issued, KeyType, LeafRequest, Usage, Validity, self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{
    AT_MOST, NAME, Running, answer1, ask1, ask2, contexts, leaf, now, open2, post, root, send2, start, start_with,
    valid, within,
};

const DAY: Duration = Duration::from_secs(86_400);
const RPC: &str = "/federation/brig/api-version";

async fn refused(running: &Running, shows: Option<&Issued>) -> String {
    let answer = running.ask_in_every_way(shows, RPC).await;
    let (status, label, message) = answer.error();
    assert_eq!((status, label.as_str()), (400, "authentication-failure"), "{message}");
    assert!(running.recorder.calls().is_empty());
    message
}

async fn believed(running: &Running, shows: &Issued) {
    let before = running.recorder.calls().len();
    let answer = running.ask_in_every_way(Some(shows), RPC).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    assert_eq!(running.recorder.calls().len(), before + 4);
}

#[tokio::test]
async fn a_good_certificate_is_believed() {
    let running = start().await;
    believed(&running, &running.good()).await;
    let call = &running.recorder.calls()[0];
    assert_eq!(call.head, format!("POST {RPC}"));
    assert_eq!(call.peer.leaf().dns_names, ["federator.a.example"]);
    assert!(call.peer.address().ip().is_loopback());
    assert_eq!(&call.body[..], b"hello");
}

#[tokio::test]
async fn every_kind_of_key_and_certificate_that_is_allowed() {
    let running = start().await;
    for key_type in [KeyType::EcdsaP384, KeyType::Ed25519, KeyType::Rsa2048] {
        believed(&running, &running.ca.issue(&LeafRequest { key_type, ..leaf("a.example") }).unwrap()).await;
    }
    for usage in [Usage::Client, Usage::Unrestricted] {
        believed(&running, &running.ca.issue(&LeafRequest { usage, ..leaf("a.example") }).unwrap()).await;
    }
    let cn_only =
        LeafRequest { dns_names: Vec::new(), common_name: Some("a.example".into()), ..leaf("unused.example") };
    believed(&running, &running.ca.issue(&cn_only).unwrap()).await;
    let call = running.recorder.calls().pop().unwrap();
    let leaf = call.peer.leaf();
    assert!(leaf.presents("a.example.") && leaf.dns_names.is_empty());
}

#[tokio::test]
async fn no_certificate() {
    let running = start().await;
    assert!(refused(&running, None).await.contains("no certificate"));
}

#[tokio::test]
async fn expired() {
    let running = start().await;
    let validity = Validity { from: now() - DAY * 2, to: now() - DAY };
    let issued = running.ca.issue(&LeafRequest::new("a.example", validity)).unwrap();
    assert!(refused(&running, Some(&issued)).await.contains("expired"));
}

#[tokio::test]
async fn not_yet_valid() {
    let running = start().await;
    let validity = Validity { from: now() + DAY, to: now() + DAY * 2 };
    let issued = running.ca.issue(&LeafRequest::new("a.example", validity)).unwrap();
    assert!(refused(&running, Some(&issued)).await.contains("not valid before"));
}

#[tokio::test]
async fn self_signed_certificate() {
    let running = start().await;
    assert!(refused(&running, Some(&self_signed(&leaf("a.example")).unwrap())).await.contains("self-signed"));
}

#[tokio::test]
async fn wrong_ca() {
    let running = start().await;
    let issued = root("elsewhere").issue(&leaf("a.example")).unwrap();
    let message = refused(&running, Some(&issued)).await;
    assert!(message.contains("elsewhere") && message.contains("not trusted"), "{message}");
}

#[tokio::test]
async fn no_client_auth_in_the_extended_key_usage() {
    let running = start().await;
    let issued = running.ca.issue(&LeafRequest { usage: Usage::Server, ..leaf("a.example") }).unwrap();
    assert!(refused(&running, Some(&issued)).await.contains("clientAuth"));
}

fn intermediate(of: &Authority, name: &str) -> Authority {
    of.intermediate(&AuthorityRequest::new(name, valid())).unwrap()
}

#[tokio::test]
async fn one_intermediate_is_fine_and_two_name_the_depth_they_need() {
    let running = start().await;
    let one = intermediate(&running.ca, "one");
    let deep = intermediate(&one, "two").issue(&leaf("a.example")).unwrap();
    let message = refused(&running, Some(&deep)).await;
    assert!(message.contains("a verification depth of 3 is needed, 2 is allowed"), "{message}");
    believed(&running, &one.issue(&leaf("a.example")).unwrap()).await;
}

#[tokio::test]
async fn a_refused_peer_reaches_only_its_refusal() {
    let running = start().await;
    for path in ["/", "/i/status", "/federation/brig/api-version?x=y", "/nowhere", "/federation/large"] {
        let answer = running.ask_in_every_way(None, path).await;
        assert_eq!(answer.error().1, "authentication-failure", "{path}");
    }
    assert!(running.recorder.calls().is_empty());
}

#[tokio::test]
async fn the_connection_of_a_refused_peer_ends() {
    let running = start().await;
    // HTTP/1.1: the second of two requests is not answered, although both asked to go on.
    let mut one = running.http1(None).await;
    let answer = ask1(&mut one, &(post(RPC, "", "") + &post(RPC, "", ""))).await;
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(answer.body.matches("authentication-failure").count(), 1, "{}", answer.body);
    // HTTP/2: GOAWAY, and the connection is closed without our doing.
    let (answer, connection) = ask2(running.http2(None).await, RPC, "").await;
    assert_eq!(answer.status, 400);
    within(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refusal_is_not_followed_at_once_by_the_end_of_an_http2_connection() {
    let running = start_with(|limits| limits.linger = AT_MOST).await;
    // A GOAWAY that overtakes the client's look at the answer makes some forget the answer. The connection that still
    // takes a request has seen none.
    let (mut client, _connection) = open2(running.http2(None).await).await;
    for _ in 0..3 {
        let answer = send2(&mut client, RPC, "").await;
        assert_eq!(answer.error().1, "authentication-failure");
    }
}

#[tokio::test]
async fn a_refusal_arrives_although_the_peer_keeps_sending() {
    let running = start_with(|limits| limits.linger = AT_MOST).await;
    let mut stream = running.http1(None).await;
    let head = format!("POST {RPC} HTTP/1.1\r\nhost: {NAME}\r\ncontent-length: 300000\r\n\r\n");
    within(stream.write_all(head.as_bytes())).await.unwrap();
    // The body fits into the sockets' buffers, or breaks off when the ingress has closed.
    let _ = within(stream.write_all(&vec![b'x'; 300_000])).await;
    assert_eq!(answer1(&mut stream).await.error().1, "authentication-failure");
    // The ingress reads on for a while: where it resets the connection instead, some systems take back an answer that
    // was not read yet.
    let mut tcp = stream.into_inner().0;
    assert_eq!(within(tcp.read(&mut [0])).await.unwrap(), 0);
    within(tcp.write_all(b"more")).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_expires_on_an_open_connection() {
    let running = start().await;
    let mut stream = running.http1(Some(&running.good())).await;
    within(stream.write_all(post(RPC, "", "hello").as_bytes())).await.unwrap();
    let mut text = [0; 512];
    let length = within(stream.read(&mut text)).await.unwrap();
    assert!(text[..length].starts_with(b"HTTP/1.1 200"));
    running.clock.advance(DAY * 2);
    let (status, label, message) = ask1(&mut stream, &post(RPC, "", "hello")).await.error();
    assert_eq!((status, label.as_str()), (400, "authentication-failure"));
    assert!(message.contains("expired"), "{message}");
}

#[tokio::test]
async fn new_contexts_count_for_new_connections() {
    let running = start().await;
    let good = running.good();
    let mut standing = running.http1(Some(&good)).await;
    let other = root("other");
    running.contexts.replace(contexts(2, &other));
    // The standing connection is not touched.
    assert_eq!(ask1(&mut standing, &post(RPC, "connection: close\r\n", "hello")).await.status, 200);
    // A new one meets the new certificate, whose CA this client does not know.
    let moved = Running { ca: other.clone(), ..running };
    let message = refused_once(&moved, &good).await;
    assert!(message.contains("not trusted"), "{message}");
    let answer = moved.ask_in_every_way(Some(&moved.good()), RPC).await;
    assert_eq!(answer.status, 200);
}

async fn refused_once(running: &Running, shows: &Issued) -> String {
    let mut stream = running.http1(Some(shows)).await;
    let (status, label, message) = ask1(&mut stream, &post(RPC, "", "")).await.error();
    assert_eq!((status, label.as_str()), (400, "authentication-failure"));
    message
}

#[tokio::test]
async fn each_judgement_is_told_once() {
    let running = start().await;
    let id = "wire-origin-request-id: 7\r\n";
    let mut good = running.http1(Some(&running.good())).await;
    let two = post(RPC, id, "") + &post(RPC, "connection: close\r\n", "");
    within(good.write_all(two.as_bytes())).await.unwrap();
    within(good.read_to_end(&mut Vec::new())).await.unwrap();
    let mut bad = running.http1(None).await;
    ask1(&mut bad, &post(RPC, id, "")).await;
    drop(running.http1(None).await);
    while running.hops.all.lock().unwrap().len() < 3 {
        within(running.hops.told.notified()).await;
    }
    running.shutdown.cancel();
    within(running.served).await.unwrap();
    let hops = running.hops.all.lock().unwrap().clone();
    let told: Vec<_> = hops
        .into_iter()
        .map(|hop| match hop.step {
            Step::Peer { names, refused, .. } => (hop.request_id, names, refused.is_some()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            ("7".to_owned(), vec!["federator.a.example".to_owned()], false),
            ("7".to_owned(), vec![], true),
            (String::new(), vec![], true),
        ]
    );
}

#[tokio::test]
async fn a_refused_peer_that_asks_nothing_is_not_kept() {
    let running = start_with(|limits| limits.headers = Duration::from_millis(50)).await;
    for mut stream in [running.http1(None).await, running.http2(None).await] {
        // HTTP/2 has said its settings; nothing else comes.
        let _ = within(stream.read_to_end(&mut Vec::new())).await;
    }
    assert!(running.recorder.calls().is_empty());
}
