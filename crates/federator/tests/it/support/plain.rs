//! Plain HTTP on loopback: listeners of ours, clients that write what they like, servers that do as their script says.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::Router;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::soon;

/// Serves a router, HTTP/1.1 and HTTP/2 without TLS, and tells it where connections come from.
pub async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and label; no label where it is no error of Wire.
    pub fn told(&self) -> (u16, String) {
        let json = self.json();
        if json.is_object() {
            assert_eq!(json["code"], self.status, "{json}");
        }
        (self.status, json["label"].as_str().unwrap_or_default().to_owned())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The names of its headers, in order.
    pub fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        names
    }
}

/// One end of a connection of HTTP/1.1, byte by byte.
pub struct Raw<S = TcpStream> {
    pub stream: S,
    unread: Vec<u8>,
}

impl Raw {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub async fn connect(to: SocketAddr) -> Self {
        Self::new(soon(TcpStream::connect(to)).await.unwrap())
    }

    /// A connection that comes from another address of loopback.
    pub async fn connect_from(from: &str, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        Self::new(soon(socket.connect(to)).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Over whatever carries it.
    pub fn over(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Writes; that the other side does not take it any more is no failure.
    pub async fn say(&mut self, text: impl AsRef<[u8]>) -> bool {
        soon(self.stream.write_all(text.as_ref())).await.is_ok()
    }

    async fn more(&mut self) -> bool {
        soon(self.stream.read_buf(&mut self.unread)).await.is_ok_and(|length| length > 0)
    }

    /// The next head with the blank line behind it; `None` where the other side closes before.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..at + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// So many bytes, or fewer where the other side closes before.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count && self.more().await {}
        self.unread.drain(..count.min(self.unread.len())).collect()
    }

    /// Everything until the other side closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    /// The next answer; `None` where the other side closes instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        let head = self.head().await?;
        let (status, headers) = parse(&head);
        let body = match headers.get("content-length").map(|value| value.to_str().unwrap().parse().unwrap()) {
            Some(length) => self.bytes(length).await,
            None if headers.contains_key("transfer-encoding") => self.chunks().await,
            None => self.rest().await,
        };
        Some(Answer { status: status.parse().unwrap(), headers, body: body.into() })
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            while !self.unread.windows(2).any(|bytes| bytes == b"\r\n") {
                if !self.more().await {
                    panic!("the answer broke off behind {} bytes", body.len());
                }
            }
            let at = self.unread.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
            let line = self.bytes(at + 2).await;
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let chunk = self.bytes(size + 2).await;
            assert_eq!(chunk.len(), size + 2, "the answer broke off");
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return body;
            }
        }
    }

    /// Says this and reads the answer.
    pub async fn ask(&mut self, text: impl AsRef<[u8]>) -> Option<Answer> {
        self.say(text).await;
        self.answer().await
    }
}

/// The second word of the first line, and the headers.
fn parse(head: &str) -> (String, HeaderMap) {
    let mut lines = head.trim_end().split("\r\n");
    let second = lines.next().unwrap().split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.trim().as_bytes()).unwrap(),
        );
    }
    (second, headers)
}

/// A request of HTTP/1.1 with its length.
pub fn post(path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST {path} HTTP/1.1\r\nhost: here\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// An open connection of HTTP/2 without TLS.
pub async fn http2(to: SocketAddr) -> SendRequest<Bytes> {
    let stream = soon(TcpStream::connect(to)).await.unwrap();
    let (client, connection) = soon(h2::client::handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

/// One request on it.
pub async fn ask2(client: &mut SendRequest<Bytes>, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    soon(poll_fn(|cx| client.poll_ready(cx))).await.unwrap();
    let mut request = Request::post(format!("http://here{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (answer, mut sent) = client.send_request(request.body(()).unwrap(), false).unwrap();
    // A refusal may be faster than the body.
    let _ = sent.send_data(Bytes::from(body.to_owned()), true);
    let (head, mut incoming) = soon(answer).await.unwrap().into_parts();
    let mut text = Vec::new();
    while let Some(data) = soon(incoming.data()).await {
        let data = data.unwrap();
        text.extend_from_slice(&data);
        incoming.flow_control().release_capacity(data.len()).unwrap();
    }
    Answer { status: head.status.as_u16(), headers: head.headers, body: text.into() }
}

/// The same request over HTTP/1.1 and over HTTP/2, whose answers have to be the same.
pub async fn ask_both(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let one = Raw::connect(to).await.ask(post(path, headers, body)).await.unwrap();
    let two = ask2(&mut http2(to).await, path, headers, body).await;
    assert_eq!((one.status, &one.body), (two.status, &two.body), "HTTP/1.1 and HTTP/2 differ");
    one
}

/// A server of HTTP/1.1 whose every byte stands in a script.
pub struct Scripted {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: watch::Sender<usize>,
    closed: watch::Sender<usize>,
}

/// One connection to a [`Scripted`] server.
pub struct Visit {
    pub raw: Raw,
    seen: Arc<Seen>,
}

impl Scripted {
    /// Runs the script for each connection, which is closed when it ends.
    pub async fn start<F>(script: impl Fn(Visit) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.send_modify(|count| *count += 1);
                let visit = script(Visit { raw: Raw::new(stream), seen: Arc::clone(&shared) });
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    visit.await;
                    shared.closed.send_modify(|count| *count += 1);
                });
            }
        });
        Self { address, seen, _tasks: tasks }
    }

    /// Says this to each request of each connection, for ever.
    pub async fn always(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut visit| {
            let answer = Arc::clone(&answer);
            async move {
                while visit.request().await.is_some() {
                    visit.raw.say(&answer).await;
                }
            }
        })
        .await
    }

    /// What it was asked, each with its body, in order.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.seen.connections.borrow()
    }

    /// Waits until so many scripts have come to their end.
    pub async fn until_ended(&self, count: usize) {
        soon(self.seen.closed.subscribe().wait_for(|closed| *closed >= count)).await.unwrap();
    }
}

impl Visit {
    /// The next request, whole; `None` when the client is gone.
    pub async fn request(&mut self) -> Option<String> {
        let head = self.raw.head().await?;
        let (_, headers) = parse(&head);
        let length = headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        let body = self.raw.bytes(length).await;
        if body.len() < length {
            return None;
        }
        let request = head + &String::from_utf8_lossy(&body);
        self.seen.requests.lock().unwrap().push(request.clone());
        Some(request)
    }
}

/// The lines of a request's headers, in order of their names.
pub fn header_lines(request: &str) -> Vec<String> {
    let head = request.split_once("\r\n\r\n").unwrap().0;
    let mut lines: Vec<String> = head.split("\r\n").skip(1).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}
