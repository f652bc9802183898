//! Answers, watched while they leave.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::{Activity, Protocol, Watched};

/// A request from its head to the last byte of its answer. Dropped earlier, the peer abandoned it.
#[derive(Debug)]
pub struct Exchange {
    request: u64,
    watched: Watched,
}

impl Exchange {
    /// The head of a request is complete.
    pub fn begin(watched: &Watched, protocol: Protocol) -> Self {
        Self { request: watched.lock().begin(protocol), watched: watched.clone() }
    }

    /// Whether the connection takes no further request, and the peer must be told so (HTTP/1.1).
    pub fn is_last(&self) -> bool {
        self.watched.lock().is_last()
    }

    fn tell(&self, what: impl FnOnce(&mut Activity, u64)) {
        what(&mut self.watched.lock(), self.request);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.tell(|activity, request| activity.end(request, Instant::now()));
    }
}

/// The body of an answer, streamed. Its pieces keep the exchange going until they are sent.
#[derive(Debug)]
pub struct Answer<B> {
    inner: B,
    exchange: Arc<Exchange>,
}

impl<B: Body> Answer<B> {
    /// From now on the peer is to take it.
    pub fn new(inner: B, exchange: Exchange) -> Self {
        exchange.tell(|activity, request| {
            activity.answer(request, Instant::now());
            if inner.is_end_stream() {
                activity.whole(request);
            }
        });
        Self { inner, exchange: Arc::new(exchange) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        self.exchange.tell(|activity, request| activity.wanted(request));
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let length = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        let whole = frame.is_none() || self.inner.is_end_stream();
        self.exchange.tell(|activity, request| {
            activity.handed_over(request, length, Instant::now());
            if whole {
                activity.whole(request);
            }
        });
        let piece = |data| Piece { data, exchange: Arc::clone(&self.exchange) };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A piece of an answer. The HTTP library takes answers faster than peers do, keeps what they leave and is done with the body
/// once it has the last piece; so it is the bytes themselves that tell when they leave us.
#[derive(Debug)]
pub struct Piece {
    data: Bytes,
    exchange: Arc<Exchange>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        self.exchange.tell(|activity, request| activity.taken(request, count, Instant::now()));
    }
}
