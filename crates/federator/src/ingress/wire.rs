//! The bytes of a connection, watched.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::server::TlsStream;

use super::activity::Activity;

/// A TLS stream that reports what it reads and whether it can be written to, and that is put back into its slot when the
/// HTTP library lets go of it: what the library does not say any more (408, an orderly end of the stream) is said then.
pub(super) struct Wire {
    stream: Option<TlsStream<TcpStream>>,
    slot: Slot,
    activity: Arc<Mutex<Activity>>,
}

/// Where a stream is found again.
pub(super) type Slot = Arc<Mutex<Option<TlsStream<TcpStream>>>>;

impl Wire {
    pub(super) fn new(stream: TlsStream<TcpStream>, activity: Arc<Mutex<Activity>>) -> (Self, Slot) {
        let slot = Slot::default();
        (Self { stream: Some(stream), slot: Arc::clone(&slot), activity }, slot)
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TlsStream<TcpStream>>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reports whether the peer takes what is written.
    fn wrote<T>(&self, outcome: Poll<T>) -> Poll<T> {
        lock(&self.activity).writable(outcome.is_ready(), Instant::now());
        outcome
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Wire {
    fn drop(&mut self) {
        *lock(&self.slot) = self.stream.take();
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.stream()?.poll_read(cx, buf))?;
        if buf.filled().len() > before {
            lock(&self.activity).read(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream()?.poll_flush(cx);
        self.wrote(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.stream()?.poll_shutdown(cx);
        self.wrote(shut)
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
