//! The bytes of a connection, watched.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::Watched;

/// A stream that reports what it reads and whether it can be written to, and that is put back into its slot when the HTTP
/// library lets go of it: what the library does not say any more (408, an orderly end of the stream) is said then.
#[derive(Debug)]
pub struct Wire<S> {
    stream: Option<S>,
    slot: Slot<S>,
    watched: Watched,
}

/// Where a stream is found again.
#[derive(Debug)]
pub struct Slot<S>(Arc<Mutex<Option<S>>>);

impl<S> Slot<S> {
    /// The stream, if the HTTP library has let go of it.
    pub fn take(&self) -> Option<S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S> Wire<S> {
    /// A stream, and where it will be found again.
    pub fn new(stream: S, watched: Watched) -> (Self, Slot<S>) {
        let slot = Arc::new(Mutex::new(None));
        (Self { stream: Some(stream), slot: Slot(Arc::clone(&slot)), watched }, Slot(slot))
    }

    fn stream(&mut self) -> io::Result<Pin<&mut S>>
    where
        S: Unpin,
    {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reports whether the peer takes what is written.
    fn flushed<T>(&self, outcome: Poll<T>) -> Poll<T> {
        self.watched.lock().writable(outcome.is_ready(), Instant::now());
        outcome
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(length)) if length > 0) {
            self.watched.lock().wrote(Instant::now());
        }
        self.flushed(written)
    }
}

impl<S> Drop for Wire<S> {
    fn drop(&mut self) {
        *self.slot.0.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.stream()?.poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.watched.lock().read(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream()?.poll_flush(cx);
        self.flushed(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.stream()?.poll_shutdown(cx);
        self.flushed(shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}
