//! The requests of an HTTP/2 connection, answered in the task of the connection.
//!
//! The library has a task for each request. On several threads a request then costs two changes between them, one to the task
//! and one back to the connection, each of which may have to wake a thread; and answers that are ready together are written
//! one by one. In one task nobody is woken, and what is ready together leaves together. The price is that one connection
//! keeps no more than one thread busy.

use std::{
    mem,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered, task::AtomicWaker};
use hyper::rt::Executor;
use hyper_util::server::graceful::GracefulConnection;

use crate::Orderly;

/// What the library wants to be done beside a connection: its executor. To be run by [`Together`].
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Streams {
    /// Those that were begun since the last time.
    fn begun(&self) -> Vec<BoxFuture<'static, ()>> {
        mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<BoxFuture<'static, ()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        // One that panics ends by itself, as a task would.
        let stream = AssertUnwindSafe(stream).catch_unwind().map(drop).boxed();
        self.lock().push(stream);
    }
}

/// A connection and its requests. What is left of them ends with the connection.
///
/// What they tell each other is heard here, and wakes nobody: a task that wakes itself while it runs is put at the end of the
/// queue, and an idle thread is woken to look for it there.
pub struct Together<'a, C> {
    connection: Pin<&'a mut C>,
    streams: Streams,
    running: FuturesUnordered<BoxFuture<'static, ()>>,
    bells: Arc<Bells>,
    of_connection: Waker,
    of_streams: Waker,
}

impl<'a, C> Together<'a, C> {
    /// A connection that was made with these as its executor.
    pub fn new(connection: Pin<&'a mut C>, streams: Streams) -> Self {
        let bells = Arc::new(Bells { rung: AtomicU8::new(CONNECTION), task: AtomicWaker::new() });
        let waker = |bell| Waker::from(Arc::new(Bell { bell, bells: Arc::clone(&bells) }));
        let (of_connection, of_streams) = (waker(CONNECTION), waker(STREAMS));
        Self { connection, streams, running: FuturesUnordered::new(), bells, of_connection, of_streams }
    }
}

impl<C: GracefulConnection> Future for Together<'_, C> {
    type Output = Result<(), C::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { connection, streams, running, bells, of_connection, of_streams } = self.get_mut();
        bells.task.register(cx.waker());
        for _ in 0..ROUNDS {
            let rung = bells.rung.swap(0, Ordering::AcqRel);
            if rung & CONNECTION != 0
                && let Poll::Ready(result) = connection.as_mut().poll(&mut Context::from_waker(of_connection))
            {
                return Poll::Ready(result);
            }
            let begun = streams.begun();
            if rung & STREAMS != 0 || !begun.is_empty() {
                running.extend(begun);
                let mut cx = Context::from_waker(of_streams);
                // All answers that are ready leave with the connection's next step.
                while let Poll::Ready(Some(())) = running.poll_next_unpin(&mut cx) {}
            }
            let nothing_new = || streams.lock().is_empty();
            let fell_asleep = || bells.rung.compare_exchange(0, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok();
            if nothing_new() && fell_asleep() {
                return Poll::Pending;
            }
        }
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: GracefulConnection> Orderly for Together<'_, C> {
    type Error = C::Error;

    fn wind(self: Pin<&mut Self>) {
        let this = self.get_mut();
        this.connection.as_mut().graceful_shutdown();
        this.bells.rung.fetch_or(CONNECTION, Ordering::AcqRel);
    }
}

/// How often the two have their turn before others have theirs.
const ROUNDS: usize = 16;

/// The connection has something to do.
const CONNECTION: u8 = 1;
/// A request has.
const STREAMS: u8 = 2;
/// Nobody looks, so that whoever rings must wake the task.
const ASLEEP: u8 = 4;

/// Who has something to do.
struct Bells {
    rung: AtomicU8,
    task: AtomicWaker,
}

/// What rings for one of them.
struct Bell {
    bell: u8,
    bells: Arc<Bells>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.bells.rung.fetch_or(self.bell, Ordering::AcqRel) & ASLEEP != 0 {
            self.bells.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn, pin::pin, sync::atomic::AtomicUsize, time::Duration};

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body::Body as _;
    use hyper::{body::Incoming, client, server::conn::http2, service::service_fn};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::{
        io::duplex,
        sync::{Mutex as Lock, Semaphore},
        task::JoinSet,
        time::{sleep, timeout},
    };

    use super::*;

    /// Counts how often a task is woken while it runs.
    struct Counting {
        task: AtomicWaker,
        runs: AtomicU8,
        by_itself: AtomicUsize,
    }

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.by_itself.fetch_add(self.runs.load(Ordering::Acquire).into(), Ordering::AcqRel);
            self.task.wake();
        }
    }

    /// Requests that are answered at once, after a while, by another task, and never wait for each other; by a task that is
    /// woken from outside alone.
    #[tokio::test]
    async fn requests_wait_for_nobody_and_the_task_does_not_wake_itself() {
        let (ours, theirs) = duplex(64 * 1024);
        let counting = Counting { task: AtomicWaker::new(), runs: AtomicU8::new(0), by_itself: AtomicUsize::new(0) };
        let (counting, gate) = (Arc::new(counting), Arc::new(Semaphore::new(0)));
        let counted = Arc::clone(&counting);
        let waiting = Arc::clone(&gate);
        let answer = move |request: Request<Incoming>| {
            let waiting = Arc::clone(&waiting);
            async move {
                match request.uri().path() {
                    "/late" => sleep(Duration::from_millis(5)).await,
                    "/gate" => waiting.acquire().await.unwrap().forget(),
                    "/panic" => panic!("a mistake"),
                    _ => {}
                }
                Ok::<_, Infallible>(Response::new(request.into_body()))
            }
        };
        tokio::spawn(async move {
            let streams = Streams::default();
            let http = http2::Builder::new(streams.clone());
            let connection = pin!(http.serve_connection(TokioIo::new(ours), service_fn(answer)));
            let mut together = Together::new(connection, streams);
            let waker = Waker::from(Arc::clone(&counted));
            poll_fn(|cx| {
                counted.task.register(cx.waker());
                counted.runs.store(1, Ordering::Release);
                let polled = Pin::new(&mut together).poll(&mut Context::from_waker(&waker));
                counted.runs.store(0, Ordering::Release);
                polled
            })
            .await
        });
        type Sending = client::conn::http2::SendRequest<http_body_util::Full<Bytes>>;
        let handshake = client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(theirs)).await;
        let (sender, connection): (Sending, _) = handshake.unwrap();
        tokio::spawn(connection);
        let sender = Arc::new(Lock::new(sender));
        let ask = |path: &'static str| {
            let sender = Arc::clone(&sender);
            async move {
                let request =
                    Request::post(format!("http://x{path}")).body(Bytes::from_static(b"body").into()).unwrap();
                let answer = sender.lock().await.send_request(request);
                let mut body = answer.await.ok()?.into_body();
                let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await?.ok()?;
                frame.into_data().ok()
            }
        };
        let within = async |asked: &mut JoinSet<Option<Bytes>>| {
            timeout(Duration::from_secs(20), asked.join_next()).await.expect("an answer").unwrap().unwrap()
        };
        let mut gated = JoinSet::new();
        gated.spawn(ask("/gate"));
        let mut others = JoinSet::new();
        for _ in 0..20 {
            for path in ["/now", "/late", "/now"] {
                others.spawn(ask(path));
            }
        }
        for _ in 0..60 {
            assert_eq!(within(&mut others).await.unwrap(), "body");
        }
        others.spawn(ask("/panic"));
        assert_eq!(within(&mut others).await, None);
        gate.add_permits(1);
        assert_eq!(within(&mut gated).await.unwrap(), "body");
        assert_eq!(counting.by_itself.load(Ordering::Acquire), 0);
    }
}
