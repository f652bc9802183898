//! One call on one connection of HTTP/1.1, all of it in the task of who calls.
//!
//! Nobody else looks after the connection: it moves while its answer is waited for, and while the answer's body is read. So
//! a call costs no switch of tasks, and no waking but by the socket ([`in_turns`]).

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::connections::Connections;
use crate::limits::HEADER_BYTES;

/// Why there is no answer, perhaps with the request.
pub(super) type Lost = Box<TrySendError<Request<Full<Bytes>>>>;

/// A connection, which stands still unless somebody drives it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    http: Http,
}

impl Connection {
    /// One on which nothing was said yet.
    pub(super) async fn new(stream: TokioIo<TcpStream>) -> hyper::Result<Box<Self>> {
        let (sender, http) = http1::Builder::new().max_buf_size(HEADER_BYTES).handshake(stream).await?;
        Ok(Box::new(Self { sender, http: Some(http) }))
    }

    /// Sends a request and waits for the head of its answer. The request is gone before the future is first polled, which
    /// need not have room for it.
    ///
    /// # Errors
    /// There is none. A request that was not begun to be written comes back.
    pub(super) fn ask(
        mut self: Box<Self>,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<(Response<Incoming>, Box<Self>), Lost>> {
        let answer = self.sender.try_send_request(request);
        async move {
            let mut answer = pin!(answer);
            let answered = poll_fn(|cx| in_turns(&mut self.http, cx, |cx| answer.as_mut().poll(cx)));
            match answered.await {
                Ok(answer) => Ok((answer, self)),
                Err(lost) => Err(Box::new(lost)),
            }
        }
    }

    /// Whether the last answer is over and another request may follow.
    fn is_free(&mut self) -> bool {
        // Whoever takes it looks again.
        drive(&mut self.http, &mut Context::from_waker(Waker::noop()));
        self.http.is_some() && self.sender.is_ready()
    }
}

/// The library's half of a connection that moves bytes; `None` once it is over.
type Http = Option<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>;

/// Lets a connection and whoever takes something of it, the answer or its body, do in turns what they can, until that is
/// there or only the socket can bring it.
///
/// The two tell each other what they did by waking whoever asked them last, and that would be the task that is running
/// already. So at first both are asked with a waker that does nothing, the taker before the connection, which has
/// something for it now and then: what they tell each other by it is heard since both are asked once more. What must hold
/// when nothing is there:
/// - both were asked last with `cx`, so that the socket, and what the connection then has for the taker, wake the task;
/// - the taker was asked before the connection was asked last, so that the connection knows what is wanted, and has said
///   nothing new after it: whoever asks a second time in vain has nothing to say.
fn in_turns<T>(http: &mut Http, cx: &mut Context<'_>, mut take: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    if let Poll::Ready(taken) = take(&mut Context::from_waker(Waker::noop())) {
        return Poll::Ready(taken);
    }
    for waker in [Waker::noop(), cx.waker()] {
        let mut cx = Context::from_waker(waker);
        drive(http, &mut cx);
        if let Poll::Ready(taken) = take(&mut cx) {
            return Poll::Ready(taken);
        }
    }
    Poll::Pending
}

/// Lets a connection do what it can. What went wrong is told by the answer or its body.
fn drive(http: &mut Http, cx: &mut Context<'_>) {
    if http.as_mut().is_some_and(|http| Pin::new(http).poll(cx).is_ready()) {
        *http = None;
    }
}

/// The body of an answer. Read to its end, it gives the connection back; dropped before, it ends it.
pub(super) struct Answered {
    body: Incoming,
    connection: Option<Box<Connection>>,
    home: Arc<Connections>,
}

impl Answered {
    /// The body that comes on that connection, which is kept there afterwards.
    pub(super) fn new(body: Incoming, connection: Box<Connection>, home: Arc<Connections>) -> Self {
        let mut answered = Self { body, connection: Some(connection), home };
        if answered.body.is_end_stream() {
            answered.over();
        }
        answered
    }

    fn over(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_free()
        {
            self.home.keep(connection);
        }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let body = &mut this.body;
        let frame = match &mut this.connection {
            Some(connection) => in_turns(&mut connection.http, cx, |cx| Pin::new(&mut *body).poll_frame(cx)),
            None => Pin::new(body).poll_frame(cx),
        };
        if matches!(frame, Poll::Ready(None)) || (frame.is_ready() && this.body.is_end_stream()) {
            this.over();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
