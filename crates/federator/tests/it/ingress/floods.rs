//! HTTP/2 at its worst, frame by frame.

use rustls::version::TLS13;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::support::{Running, ask2, start, start_with, within};

const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
const GOAWAY: u8 = 7;
pub const HEADERS: u8 = 1;
const PING: u8 = 6;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;

const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;
const REFUSED_STREAM: u32 = 7;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// POST https /federation/never, for `b`, in HPACK.
fn request() -> Vec<u8> {
    let path = b"/federation/never";
    let mut block = vec![0x83, 0x87, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path);
    block.extend([0x01, 1, b'b']);
    block
}

/// The number of the client's `index`th stream.
fn number(index: u32) -> u32 {
    index * 2 + 1
}

pub fn ask(index: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, number(index), &request())
}

fn reset(index: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, number(index), &CANCEL.to_be_bytes())
}

pub async fn open(running: &Running) -> TlsStream<TcpStream> {
    let mut stream = running.connect(Some(&running.good()), "h2", &TLS13).await;
    let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[])].concat();
    within(stream.write_all(&hello)).await.unwrap();
    stream
}

/// The next frame: kind, stream, payload. `None` when the connection has ended, well or badly.
async fn next(stream: &mut TlsStream<TcpStream>) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    within(stream.read_exact(&mut head)).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    within(stream.read_exact(&mut payload)).await.ok()?;
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// Reads to the end; the error code of the last GOAWAY.
async fn ended_with(stream: &mut TlsStream<TcpStream>) -> Option<u32> {
    let mut code = None;
    while let Some((kind, _, payload)) = next(stream).await {
        if kind == GOAWAY {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    code
}

/// Others are served as if nothing had happened.
async fn serves_on(running: &Running) {
    let (answer, _connection) = ask2(running.http2(Some(&running.good())).await, "/federation/x", "hello").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    let running = start().await;
    let mut stream = open(&running).await;
    let burst: Vec<u8> = (0..500).flat_map(|index| [ask(index), reset(index)].concat()).collect();
    let _ = within(stream.write_all(&burst)).await;
    assert_eq!(ended_with(&mut stream).await, Some(ENHANCE_YOUR_CALM));
    assert!(running.recorder.calls().len() < 500);
    serves_on(&running).await;
}

#[tokio::test]
async fn resets_at_leisure_end_it_too() {
    // One at a time, each after the request has begun: the library's own defence does not see them.
    let running = start_with(|limits| limits.abandoned = 20).await;
    let mut stream = open(&running).await;
    let mut begun = 0;
    'flood: for index in 0..1000 {
        if stream.write_all(&[ask(index), frame(PING, 0, 0, &[0; 8])].concat()).await.is_err() {
            break;
        }
        loop {
            match next(&mut stream).await {
                None => break 'flood,
                Some((PING, ..)) => break,
                Some(_) => {}
            }
        }
        begun = index + 1;
        if stream.write_all(&reset(index)).await.is_err() {
            break;
        }
    }
    assert!((20..100).contains(&begun), "{begun} requests were begun");
    serves_on(&running).await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    for payload in [Vec::new(), vec![0x00; 1], vec![0x82; 8000]] {
        let running = start().await;
        let mut stream = open(&running).await;
        let mut flood = frame(HEADERS, END_STREAM, 1, &request());
        for _ in 0..200 {
            flood.extend(frame(CONTINUATION, 0, 1, &payload));
        }
        let _ = within(stream.write_all(&flood)).await;
        let code = ended_with(&mut stream).await;
        assert!(code.is_some_and(|code| code != 0), "{code:?} after pieces of {}", payload.len());
        assert!(running.recorder.calls().is_empty());
        serves_on(&running).await;
    }
}

#[tokio::test]
async fn streams_are_bounded() {
    let running = start_with(|limits| limits.streams = 10).await;
    let mut stream = open(&running).await;
    let flood: Vec<u8> = (0..50).flat_map(ask).chain(frame(PING, 0, 0, &[0; 8])).collect();
    within(stream.write_all(&flood)).await.unwrap();
    let mut refused = 0;
    while refused < 40 {
        match within(next(&mut stream)).await.expect("the connection stays") {
            (RST_STREAM, _, payload) => {
                assert_eq!(payload, REFUSED_STREAM.to_be_bytes());
                refused += 1;
            }
            (kind, ..) => assert_ne!(kind, GOAWAY),
        }
    }
    assert_eq!(running.recorder.calls().len(), 10);
    serves_on(&running).await;
}

#[tokio::test]
async fn a_flood_of_streams_ends_the_connection() {
    let running = start_with(|limits| (limits.streams, limits.abandoned) = (10, 50)).await;
    let mut stream = open(&running).await;
    let flood: Vec<u8> = (0..1000).flat_map(ask).collect();
    let _ = within(stream.write_all(&flood)).await;
    assert_eq!(ended_with(&mut stream).await, Some(ENHANCE_YOUR_CALM));
    assert!(running.recorder.calls().len() <= 10);
    serves_on(&running).await;
}
