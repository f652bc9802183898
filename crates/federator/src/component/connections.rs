//! The connections to one component: those that are unused wait here for the next call.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::service::Service;
use hyper_util::{client::legacy::connect::HttpConnector, service::TowerToHyperService};
use tokio::time::{Instant, sleep_until};

use super::exchange::{Answered, Connection};
use crate::{cause, http_client, limits::ComponentLimits};

/// Connections to one address.
pub(super) struct Connections {
    connector: TowerToHyperService<HttpConnector>,
    address: Uri,
    /// How long an unused one stays.
    idle: Duration,
    /// How many unused ones stay.
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Since when each is unused; the oldest first.
    unused: VecDeque<(Instant, Box<Connection>)>,
    /// Whether somebody closes those that are unused for too long.
    watched: bool,
}

impl Connections {
    /// None yet.
    pub(super) fn new(address: Uri, limits: &ComponentLimits) -> Arc<Self> {
        Arc::new(Self {
            connector: TowerToHyperService::new(http_client::connector(limits.connect)),
            address,
            idle: limits.idle,
            most: limits.idle_connections,
            kept: Mutex::default(),
        })
    }

    /// Sends a request on the connection that was used last, or a new one. Where a connection that was kept turns out to be
    /// closed before the request was begun to be written, the next one takes it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn ask(self: &Arc<Self>, mut request: Request<Full<Bytes>>) -> Result<Response<Answered>, String> {
        loop {
            let kept = self.kept().unused.pop_back();
            let is_new = kept.is_none();
            let connection = match kept {
                Some((_, connection)) => connection,
                // Rarely done, and not worth room in each call's future.
                None => Box::pin(self.connect()).await?,
            };
            let mut lost = match connection.ask(request).await {
                Ok((answer, connection)) => {
                    return Ok(answer.map(|body| Answered::new(body, connection, Arc::clone(self))));
                }
                Err(lost) => lost,
            };
            match lost.take_message() {
                Some(unsent) if !is_new => request = unsent,
                _ => return Err(cause::chain(&lost.into_error())),
            }
        }
    }

    async fn connect(&self) -> Result<Box<Connection>, String> {
        let stream = self.connector.call(self.address.clone()).await.map_err(|error| cause::chain(&error))?;
        Connection::new(stream).await.map_err(|error| cause::chain(&error))
    }

    /// Keeps a connection for the next call, if there is room.
    pub(super) fn keep(self: &Arc<Self>, connection: Box<Connection>) {
        let mut kept = self.kept();
        if kept.unused.len() >= self.most {
            return;
        }
        kept.unused.push_back((Instant::now(), connection));
        if !std::mem::replace(&mut kept.watched, true) {
            tokio::spawn(close_unused(Arc::downgrade(self)));
        }
    }

    /// Closes those that were unused for too long. When to look again; `None` where none is left.
    fn close_old(&self) -> Option<Instant> {
        let mut kept = self.kept();
        let now = Instant::now();
        let old = kept.unused.partition_point(|(since, _)| *since + self.idle <= now);
        kept.unused.drain(..old);
        let next = kept.unused.front().map(|(since, _)| *since + self.idle);
        kept.watched = next.is_some();
        next
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with the last connection that is unused, and with whom they belong to.
async fn close_unused(connections: Weak<Connections>) {
    while let Some(next) = connections.upgrade().and_then(|connections| connections.close_old()) {
        sleep_until(next).await;
    }
}
