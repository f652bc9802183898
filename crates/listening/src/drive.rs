//! Runs connections to their end.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{Advice, Expired, Limits, Watched};

/// How a connection ended.
#[derive(Debug)]
pub enum End<E> {
    /// HTTP is done with it, one way or the other.
    Done(Result<(), E>),
    /// It lasted too long.
    Expired(Expired),
}

/// A connection that can be ended in good order.
pub trait Orderly: Future<Output = Result<(), <Self as Orderly>::Error>> {
    /// What breaks it.
    type Error;

    /// Lets it end once what was begun is over.
    fn wind(self: Pin<&mut Self>);
}

impl<C: GracefulConnection> Orderly for C {
    type Error = <C as GracefulConnection>::Error;

    fn wind(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection, and ends it when it lasts too long, when its last answer was given, or in good order once it is to
/// stop. It stays where it is: each future that it passed through would have room for it as long as it lasts.
pub async fn drive<C: Orderly>(
    mut connection: Pin<&mut C>,
    watched: &Watched,
    limits: &Limits,
    stop: &CancellationToken,
) -> End<<C as Orderly>::Error> {
    let mut stopped = pin!(stop.cancelled());
    let mut asked_to_stop = false;
    let mut alarm = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(End::Done(result));
            }
            let now = Instant::now();
            if !asked_to_stop && stopped.as_mut().poll(cx).is_ready() {
                asked_to_stop = true;
                watched.lock().stop(now);
            }
            let advice = watched.lock().advice(now, limits);
            match advice {
                // Advice that may be followed later need not be noted: who wakes up too early asks again.
                Advice::Continue(next) if alarm.is_elapsed() || next < alarm.deadline() => alarm.as_mut().reset(next),
                Advice::Continue(_) => {}
                Advice::End(expired) => return Poll::Ready(End::Expired(expired)),
                Advice::Wind => {
                    watched.lock().wind(now);
                    connection.as_mut().wind();
                    continue;
                }
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}
