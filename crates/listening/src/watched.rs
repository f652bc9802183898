//! The activity of a connection, shared by all that report to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::{Activity, Protocol};

/// The activity of one connection.
#[derive(Clone, Debug)]
pub struct Watched(Arc<Mutex<Activity>>);

impl Watched {
    /// That of a connection that begins now; the protocol, where it is known before the first request.
    pub fn new(protocol: Option<Protocol>) -> Self {
        Self(Arc::new(Mutex::new(Activity::new(protocol, Instant::now()))))
    }

    /// To report to it, or to ask it.
    pub fn lock(&self) -> MutexGuard<'_, Activity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
