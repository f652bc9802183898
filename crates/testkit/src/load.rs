//! Constant load on a listener until it ends, and what became of every request: which were answered, which may be sent
//! again by the rules of HTTP, and which were lost.
//!
//! A request is *lost* when the server accepted its connection, took it without having said before that the connection ends,
//! and did not answer. Nothing is lost where
//!
//! - the connection is refused: nobody listens any more;
//! - the connection's end was said before the request was sent: `Connection: close` in an answer, a connection that the
//!   client finds closed (RFC 9112 §9.6), or GOAWAY;
//! - GOAWAY names a last stream below that of the request, or the stream is refused: it was not looked at (RFC 9113 §6.8,
//!   §8.7).

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::peer::Caller;

/// How long any one thing may take. Above every deadline of the listener.
const DEADLINE: Duration = Duration::from_secs(30);

/// How many requests one HTTP/2 connection has open at a time here.
const STREAMS: usize = 4;

/// The listener, and what is asked of it.
#[derive(Clone)]
pub struct Asked {
    /// Where.
    pub door: Door,
    /// What. The target of the request is in origin form.
    pub request: Request<Bytes>,
}

/// How a listener is reached.
#[derive(Clone)]
pub enum Door {
    /// In cleartext, over HTTP/1.1 or, known beforehand, HTTP/2.
    Clear(SocketAddr),
    /// By mutual TLS.
    Mutual(Caller),
}

/// One kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// Whether it speaks HTTP/2.
    pub http2: bool,
    /// Whether it keeps connections for further requests.
    pub keeps: bool,
}

impl Habit {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self { http2: false, keeps: false },
        Self { http2: false, keeps: true },
        Self { http2: true, keeps: false },
        Self { http2: true, keeps: true },
    ];
}

/// What became of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answered with success.
    pub answered: usize,
    /// Of these, answers that said that the connection ends.
    pub last: usize,
    /// Not taken by a connection that had said that it ends: to be sent again on another one.
    pub again: usize,
    /// Lost.
    pub lost: Vec<String>,
}

/// Clients that ask again and again.
pub struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Result<()>>,
}

#[derive(Default)]
struct Shared {
    tally: Mutex<Tally>,
    answered: Notify,
}

impl Load {
    /// So many clients of that habit begin, and go on until nobody listens any more.
    pub fn begin(asked: &Asked, habit: Habit, clients: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let mut set = JoinSet::new();
        for _ in 0..clients {
            let (asked, shared) = (asked.clone(), Arc::clone(&shared));
            set.spawn(async move {
                while let Some(connection) = Connection::open(&asked.door, habit.http2).await? {
                    if let Err(lost) = use_up(connection, &asked, habit, &shared).await {
                        shared.tell(|tally| tally.lost.push(format!("{habit:?}: {lost:#}")));
                    }
                }
                Ok(())
            });
        }
        Self { shared, clients: set }
    }

    /// Waits until so many requests were answered.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn answered(&self, count: usize) -> Result<()> {
        let enough = async {
            loop {
                let next = self.shared.answered.notified();
                if self.shared.tell(|tally| tally.answered) >= count {
                    return;
                }
                next.await;
            }
        };
        timeout(DEADLINE, enough).await.with_context(|| format!("{:?}", self.shared.tell(|tally| tally.clone())))
    }

    /// Waits until nobody listens any more.
    ///
    /// # Errors
    /// A connection could not be made in another way than by being refused.
    pub async fn end(mut self) -> Result<Tally> {
        let ended = async {
            while let Some(client) = self.clients.join_next().await {
                client??;
            }
            Ok::<_, anyhow::Error>(())
        };
        timeout(DEADLINE, ended).await.context("somebody still listens")??;
        Ok(self.shared.tell(|tally| tally.clone()))
    }
}

impl Shared {
    fn tell<T>(&self, what: impl FnOnce(&mut Tally) -> T) -> T {
        what(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_note(&self, outcome: Outcome) {
        self.tell(|tally| match outcome {
            Outcome::Answered { last } => {
                tally.answered += 1;
                tally.last += usize::from(last);
            }
            Outcome::Again => tally.again += 1,
        });
        self.answered.notify_waiters();
    }
}

/// Asks on one connection until it ends. An error is a lost request.
async fn use_up(mut connection: Connection, asked: &Asked, habit: Habit, shared: &Shared) -> Result<()> {
    loop {
        let outcomes = connection.ask(&asked.request).await?;
        let ends = outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Answered { last: false }));
        outcomes.into_iter().for_each(|outcome| shared.take_note(outcome));
        if ends || !habit.keeps {
            return Ok(());
        }
    }
}

/// What became of one request that was not lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with success.
    Answered {
        /// Whether no other request may follow.
        last: bool,
    },
    /// It was not taken, by the rules, and may be sent again on another connection.
    Again,
}

/// A connection to the listener.
pub enum Connection {
    /// HTTP/1.1.
    One(Box<dyn Stream>),
    /// HTTP/2.
    Two(SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>),
}

/// What bytes travel on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connection {
    /// Opens one; `None` where nobody listens.
    ///
    /// # Errors
    /// There is somebody, and it fails.
    pub async fn open(door: &Door, http2: bool) -> Result<Option<Self>> {
        let address = match door {
            Door::Clear(address) => *address,
            Door::Mutual(caller) => caller.address(),
        };
        let stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
            Err(error) => return Err(error).context("connecting"),
        };
        Self::over(stream, door, http2).await.map(Some)
    }

    /// One over a TCP connection to that door.
    ///
    /// # Errors
    /// A handshake fails.
    pub async fn over(stream: TcpStream, door: &Door, http2: bool) -> Result<Self> {
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match door {
            Door::Clear(_) => Box::new(stream),
            Door::Mutual(caller) => {
                let caller = if http2 { caller.clone() } else { caller.over_http1() };
                Box::new(timeout(DEADLINE, caller.tls_over(stream)).await.context("the handshake")??)
            }
        };
        if !http2 {
            return Ok(Self::One(stream));
        }
        let (sender, connection) = timeout(DEADLINE, h2::client::handshake(stream)).await.context("HTTP/2")??;
        Ok(Self::Two(sender, tokio::spawn(connection)))
    }

    /// Sends a request, over HTTP/2 some at a time.
    ///
    /// # Errors
    /// It was lost.
    pub async fn ask(&mut self, request: &Request<Bytes>) -> Result<Vec<Outcome>> {
        match self {
            Self::One(stream) => Ok(vec![timeout(DEADLINE, ask1(stream, request)).await.context("no answer")??]),
            Self::Two(sender, _) => {
                let asking = (0..STREAMS).map(|_| ask2(sender.clone(), request));
                let all = timeout(DEADLINE, futures_util::future::join_all(asking)).await.context("no answer")?;
                all.into_iter().collect()
            }
        }
    }

    /// How an HTTP/2 connection ended.
    ///
    /// # Errors
    /// It broke.
    pub async fn ended(self) -> Result<()> {
        match self {
            Self::One(mut stream) => {
                anyhow::ensure!(stream.read(&mut [0]).await? == 0, "more came");
                Ok(())
            }
            Self::Two(sender, driver) => {
                drop(sender);
                Ok(timeout(DEADLINE, driver).await.context("it goes on")???)
            }
        }
    }
}

async fn ask1(stream: &mut Box<dyn Stream>, request: &Request<Bytes>) -> Result<Outcome> {
    // An end that is there already was said before the request.
    let mut early = [0];
    tokio::select! {
        biased;
        read = stream.read(&mut early) => return match read {
            Ok(0) => Ok(Outcome::Again),
            Ok(_) => bail!("bytes came that nobody asked for"),
            Err(error) => Err(error).context("before the request"),
        },
        () = std::future::ready(()) => {}
    }
    stream.write_all(&written(request)).await.context("sending the request")?;
    stream.flush().await?;
    read_answer(stream).await.context("no whole answer, and the end was not said")
}

/// As it stands on the wire.
fn written(request: &Request<Bytes>) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\nhost: listener\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    if request.method() != Method::GET {
        text.push_str(&format!("content-length: {}\r\n", request.body().len()));
    }
    [format!("{text}\r\n").as_bytes(), request.body()].concat()
}

async fn read_answer(stream: &mut Box<dyn Stream>) -> Result<Outcome> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "the connection ended after {} bytes", bytes.len());
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let status = head.split(' ').nth(1).unwrap_or_default();
    anyhow::ensure!(status == "200", "status {status}");
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let chunked = header("transfer-encoding") == Some("chunked");
    loop {
        let body = &bytes[head_end..];
        let whole = match length {
            Some(length) => body.len() >= length,
            None if chunked => body.ends_with(b"0\r\n\r\n"),
            None => bail!("an answer without a length: {head}"),
        };
        if whole {
            return Ok(Outcome::Answered { last: header("connection") == Some("close") });
        }
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "the connection ended amid the body");
    }
}

async fn ask2(sender: SendRequest<Bytes>, request: &Request<Bytes>) -> Result<Outcome> {
    // Before it is ready nothing was sent.
    let mut sender = match sender.ready().await {
        Ok(sender) => sender,
        Err(error) if is_announced(&error) => return Ok(Outcome::Again),
        Err(error) => return Err(error).context("before the request"),
    };
    let mut head = request.clone().map(drop);
    *head.uri_mut() = format!("https://listener{}", request.uri()).parse()?;
    let body = request.body().clone();
    let (answer, mut stream) = match sender.send_request(head, body.is_empty()) {
        Ok(sent) => sent,
        Err(error) if is_announced(&error) => return Ok(Outcome::Again),
        Err(error) => return Err(error).context("sending the request"),
    };
    if !body.is_empty() {
        // Where the server refused the stream, the answer says so.
        let _ = stream.send_data(body, true);
    }
    let answer = match answer.await {
        Ok(answer) => answer,
        Err(error) if is_announced(&error) => return Ok(Outcome::Again),
        Err(error) => return Err(error).context("the answer"),
    };
    anyhow::ensure!(answer.status() == StatusCode::OK, "status {}", answer.status());
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        let data = data.context("the body of the answer")?;
        body.flow_control().release_capacity(data.len())?;
    }
    Ok(Outcome::Answered { last: false })
}

/// Whether a request was not looked at, and the server said so.
fn is_announced(error: &h2::Error) -> bool {
    let reason = error.reason();
    error.is_remote()
        && ((error.is_go_away() && reason == Some(h2::Reason::NO_ERROR))
            || (error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM)))
}
