//! The body of an answer on its way to the caller.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::cause;

/// The body of another process's answer. It ends with an error when that is silent for too long while the caller waits,
/// which ends its connection or stream; the time that the caller takes for himself does not count. Something may be kept
/// until it ends.
pub(crate) struct AnswerBody<K = (), B = Incoming> {
    inner: B,
    idle: Duration,
    /// Set when it is first waited for something: the bodies of most answers are there at once.
    alarm: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    _kept: K,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection or the stream broke.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("the other side sent nothing for {0:?}")]
    Silent(Duration),
}

impl<K, B> AnswerBody<K, B> {
    pub(crate) fn new(inner: B, idle: Duration, kept: K) -> Self {
        Self { inner, idle, alarm: None, waiting: false, _kept: kept }
    }
}

impl<K: Unpin, B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Body for AnswerBody<K, B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Broken(cause::chain(&error)))));
        }
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(this.idle)));
        if !this.waiting {
            this.waiting = true;
            alarm.as_mut().reset(Instant::now() + this.idle);
        }
        match alarm.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Silent(this.idle)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
