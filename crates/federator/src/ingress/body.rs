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
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::{activity::Activity, wire::lock};
use crate::limits::IngressLimits;

/// Reads a whole request body of at most `limit` bytes. The permit stands for the memory it takes.
///
/// # Errors
/// 408 if it is silent or takes too long in all, 413 if it is longer, 503 if too much is held already, 400 if it breaks
/// off. What the peer declares to be too long is not read at all.
pub(super) async fn read<B>(
    headers: &HeaderMap,
    mut body: B,
    limit: usize,
    limits: &IngressLimits,
    memory: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Failure>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let too_large = || common::BODY_TOO_LARGE.because(format!("The request body is longer than {limit} bytes"));
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let deadline = Instant::now() + limits.body_total;
    let mut collected = Collected::default();
    loop {
        let frame = match timeout_at(deadline, timeout(limits.body_idle, body.frame())).await {
            Err(_) | Ok(Err(_)) => return Err(common::REQUEST_TIMEOUT.failure()),
            Ok(Ok(None)) => return Ok(collected.finish()),
            Ok(Ok(Some(Err(error)))) => return Err(common::BAD_REQUEST.because(format!("The request body: {error}"))),
            Ok(Ok(Some(Ok(frame)))) => frame,
        };
        // Trailers carry nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() + data.len() > limit {
            return Err(too_large());
        }
        let busy = |_| common::SERVICE_UNAVAILABLE.failure().retry_after(1);
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let permit = Arc::clone(memory).try_acquire_many_owned(length).map_err(busy)?;
        collected.push(data, permit);
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
    permit: Option<OwnedSemaphorePermit>,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, data: Bytes, permit: OwnedSemaphorePermit) {
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
    }

    fn finish(self) -> (Bytes, Option<OwnedSemaphorePermit>) {
        (if self.all.is_empty() { self.first } else { self.all.freeze() }, self.permit)
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
