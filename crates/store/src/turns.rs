//! Taking turns at one thing, without a list of all things.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is, by name. Names that nobody waits for are forgotten.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Bytes, Weak<tokio::sync::Mutex<()>>>>);

/// A turn. It ends when it is dropped.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits for a turn; who came first goes first.
    pub(crate) async fn take(&self, name: &Bytes) -> Turn {
        self.queue(name).lock_owned().await
    }

    fn queue(&self, name: &Bytes) -> Arc<tokio::sync::Mutex<()>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(name).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        queues.insert(name.clone(), Arc::downgrade(&queue));
        queue
    }
}
