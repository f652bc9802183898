//! Bodies of requests, read within limits: of peers, and of the other processes of this backend.

use std::hash::Hash;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use public_api::{ErrorEntry, Failure, error::common};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    limits::{BodyLimits, NO_ROOM_RETRY_AFTER, UnheardLimits},
    memory::{Asking, BodyMemory, Held, Shares, Visit},
};

/// The bodies of requests at one listener. What they take is bounded, and so is what they take of that for each of those for
/// whom they are: the peers that send them, or the backends that wait for them.
pub struct Bodies<K> {
    limits: BodyLimits,
    shares: Shares<K>,
}

/// The memory that a body has; given back when dropped, which is when nobody needs the body any more.
pub struct Kept<K: Eq + Hash> {
    // In this order, so that nobody has two shares.
    _held: Option<Held>,
    visit: Visit<K>,
}

impl<K: Eq + Hash> Kept<K> {
    /// The one whose the body is, is asked what it holds, if it is known of each who was heard from.
    pub(crate) fn asking(&self) -> Option<Asking> {
        self.visit.memory().asking()
    }
}

/// Why a body was not read.
#[derive(Debug)]
pub enum Unread {
    /// There was no memory for it for as long as it might have been silent, in all or for the one whose it is. That passes.
    NoRoom,
    /// It did not come as it must.
    Wrong(Failure),
}

impl From<Unread> for Failure {
    fn from(why: Unread) -> Self {
        match why {
            Unread::NoRoom => common::SERVICE_UNAVAILABLE.failure().retry_after(NO_ROOM_RETRY_AFTER.as_secs()),
            Unread::Wrong(failure) => failure,
        }
    }
}

impl<K: Clone + Eq + Hash> Bodies<K> {
    /// None yet.
    pub fn new(limits: BodyLimits) -> Self {
        // Requests are counted elsewhere.
        Self { shares: Shares::new(limits.memory, usize::MAX), limits }
    }

    /// None yet, and those have little memory who were not heard from lately: what [`Kept::asking`] is told.
    pub(crate) fn hearing(limits: BodyLimits, unheard: UnheardLimits) -> Self {
        Self { shares: Shares::hearing(limits.memory, unheard), limits }
    }

    /// Reads a whole body, for somebody and of a length that its head has [`declared`]. It may have more than the limit of
    /// all if `limit` says so.
    ///
    /// # Errors
    /// 408 if it is silent or takes too long in all, 413 if it is longer, 503 if there is no memory for as long as it might
    /// have been silent, 400 if it breaks off.
    pub async fn read<B>(
        &self,
        whose: K,
        declared: Option<u64>,
        body: B,
        limit: Option<usize>,
    ) -> Result<(Bytes, Kept<K>), Unread>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let limit = limit.map_or(self.limits.bytes, |limit| limit.max(self.limits.bytes));
        let visit = self.shares.enter(whose).ok_or(Unread::NoRoom)?;
        let (body, held) = read(declared, body, limit, &self.limits, visit.memory()).await?;
        Ok((body, Kept { _held: held, visit }))
    }

    /// Reads and forgets the body of a request that is refused by its head alone, if it is short and there at once.
    pub async fn discard(&self, body: impl http_body::Body<Data = Bytes> + Unpin) {
        discard(body, &self.limits).await;
    }
}

/// The length that a request says its body has.
pub fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// Reads a whole request body of at most `limit` bytes, and takes the memory for it: at once where its length is
/// declared, so that nobody who has a part waits for the rest.
///
/// # Errors
/// 408 if it is silent or takes too long in all, 413 if it is longer, 503 if there is no memory for as long as it might
/// have been silent, 400 if it breaks off. What the peer declares to be too long is not read at all.
pub(crate) async fn read<B>(
    declared: Option<u64>,
    mut body: B,
    limit: usize,
    limits: &BodyLimits,
    memory: &BodyMemory,
) -> Result<(Bytes, Option<Held>), Unread>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let wrong = |entry: &'static ErrorEntry, why: String| Unread::Wrong(entry.because(why));
    let too_large = || wrong(&common::BODY_TOO_LARGE, format!("The request body is longer than {limit} bytes"));
    let declared = declared.map(usize::try_from).transpose().map_err(|_| too_large())?.unwrap_or(0);
    if declared > limit {
        return Err(too_large());
    }
    let deadline = Instant::now() + limits.total;
    let grow = async |held: &mut Option<Held>, bytes, more| match timeout_at(
        deadline,
        timeout(limits.idle, memory.grow(held, bytes, more)),
    )
    .await
    {
        Ok(Ok(Some(()))) => Ok(()),
        _ => Err(Unread::NoRoom),
    };
    let mut held = None;
    let mut room = 0;
    let mut collected = Collected::default();
    if declared > 0 {
        grow(&mut held, 0, declared).await?;
        room = declared;
    }
    loop {
        let frame = match timeout_at(deadline, timeout(limits.idle, body.frame())).await {
            Err(_) | Ok(Err(_)) => return Err(Unread::Wrong(common::REQUEST_TIMEOUT.failure())),
            Ok(Ok(None)) => return Ok((collected.finish(), held)),
            Ok(Ok(Some(Err(error)))) => return Err(wrong(&common::BAD_REQUEST, format!("The request body: {error}"))),
            Ok(Ok(Some(Ok(frame)))) => frame,
        };
        // Trailers carry nothing here.
        let Ok(data) = frame.into_data() else { continue };
        let length = collected.len() + data.len();
        if length > limit {
            return Err(too_large());
        }
        if length > room {
            grow(&mut held, room, length - room).await?;
            room = length;
        }
        collected.push(data);
    }
}

/// Reads and forgets the body of a request that is refused by its head alone, if it is short and there at once.
///
/// An answer may come before the request is whole, and the rest be reset (RFC 9113 §8.1); but clients exist that take
/// the reset for a failure when it overtakes their own body, and lose the answer (curl 7.88).
pub(crate) async fn discard<B>(mut body: B, limits: &BodyLimits)
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
