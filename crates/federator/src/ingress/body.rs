//! Bodies: of requests, read within limits, and of answers, watched while they leave.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use public_api::{Failure, error::common};
use services::Body;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    activity::Activity,
    memory::{BodyMemory, Held},
    wire::lock,
};
use crate::limits::IngressLimits;

/// The length that a request says its body has.
pub(super) fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// Reads a whole request body of at most `limit` bytes, and takes the memory for it: at once where its length is
/// declared, so that nobody who has a part waits for the rest.
///
/// # Errors
/// 408 if it is silent or takes too long in all, 413 if it is longer, 503 if there is no memory for as long as it might
/// have been silent, 400 if it breaks off. What the peer declares to be too long is not read at all.
pub(super) async fn read<B>(
    declared: Option<u64>,
    mut body: B,
    limit: usize,
    limits: &IngressLimits,
    memory: &BodyMemory,
) -> Result<(Bytes, Option<Held>), Failure>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let too_large = || common::BODY_TOO_LARGE.because(format!("The request body is longer than {limit} bytes"));
    let declared = declared.map(usize::try_from).transpose().map_err(|_| too_large())?.unwrap_or(0);
    if declared > limit {
        return Err(too_large());
    }
    let deadline = Instant::now() + limits.body_total;
    let take = async |bytes| match timeout_at(deadline, timeout(limits.body_idle, memory.take(bytes))).await {
        Ok(Ok(Some(held))) => Ok(held),
        _ => Err(common::SERVICE_UNAVAILABLE.failure().retry_after(1)),
    };
    let mut held = None;
    let mut room = 0;
    let mut collected = Collected::default();
    if declared > 0 {
        held = Some(take(declared).await?);
        room = declared;
    }
    loop {
        let frame = match timeout_at(deadline, timeout(limits.body_idle, body.frame())).await {
            Err(_) | Ok(Err(_)) => return Err(common::REQUEST_TIMEOUT.failure()),
            Ok(Ok(None)) => return Ok((collected.finish(), held)),
            Ok(Ok(Some(Err(error)))) => return Err(common::BAD_REQUEST.because(format!("The request body: {error}"))),
            Ok(Ok(Some(Ok(frame)))) => frame,
        };
        // Trailers carry nothing here.
        let Ok(data) = frame.into_data() else { continue };
        let length = collected.len() + data.len();
        if length > limit {
            return Err(too_large());
        }
        if length > room {
            let more = take(length - room).await?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            room = length;
        }
        collected.push(data);
    }
}

/// Reads and forgets the body of a request that is refused by its head alone, if it is short and there at once.
///
/// An answer may come before the request is whole, and the rest be reset (RFC 9113 §8.1); but clients exist that take
/// the reset for a failure when it overtakes their own body, and lose the answer (curl 7.88).
pub(super) async fn discard<B>(mut body: B, limits: &IngressLimits)
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > limits.discarded_bytes as u64 {
        return;
    }
    let short = async {
        let mut left = limits.discarded_bytes;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = rest;
        }
    };
    // What does not come is not waited for: the answer does not depend on it.
    let _ = timeout(limits.discarding, short).await;
}

/// The pieces of a body: one piece is passed on as it came.
#[derive(Default)]
struct Collected {
    first: Bytes,
    all: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
    }

    fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

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
