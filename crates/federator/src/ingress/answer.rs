//! Answers, watched while they leave.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use services::Body;
use tokio::time::Instant;

use super::{activity::Activity, wire::lock};

/// A request from its head to the last byte of its answer. Dropped earlier, the peer abandoned it.
pub(super) struct Exchange {
    request: u64,
    activity: Arc<Mutex<Activity>>,
}

impl Exchange {
    pub(super) fn begin(activity: &Arc<Mutex<Activity>>) -> Self {
        Self { request: lock(activity).begin(), activity: Arc::clone(activity) }
    }

    fn tell(&self, what: impl FnOnce(&mut Activity, u64, Instant)) {
        what(&mut lock(&self.activity), self.request, Instant::now());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.tell(Activity::end);
    }
}

/// The body of an answer, streamed. Its pieces keep the exchange going until they are sent.
pub(super) struct Answer {
    inner: Body,
    exchange: Arc<Exchange>,
}

impl Answer {
    pub(super) fn new(inner: Body, exchange: Exchange) -> Self {
        exchange.tell(Activity::answer);
        if inner.is_end_stream() {
            exchange.tell(|activity, request, _| activity.whole(request));
        }
        Self { inner, exchange: Arc::new(exchange) }
    }
}

impl http_body::Body for Answer {
    type Data = Piece;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, Self::Error>>> {
        self.exchange.tell(|activity, request, _| activity.wanted(request));
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let length = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        let whole = frame.is_none() || self.inner.is_end_stream();
        self.exchange.tell(|activity, request, now| {
            activity.handed_over(request, length, now);
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

/// A piece of an answer. The HTTP library takes answers faster than peers do, and keeps what they leave; so it is the
/// bytes themselves that tell when they leave us.
pub(super) struct Piece {
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
        self.exchange.tell(|activity, request, now| activity.taken(request, count, now));
    }
}
