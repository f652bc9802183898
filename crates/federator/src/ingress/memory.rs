//! How much of request bodies is held at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory for request bodies as the connections of one address see it: what there is for all, and their share.
#[derive(Clone)]
pub(super) struct BodyMemory {
    all: Arc<Semaphore>,
    share: Arc<Semaphore>,
}

/// Memory that is taken; given back when dropped.
pub(super) struct Held {
    all: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

impl BodyMemory {
    pub(super) fn new(all: Arc<Semaphore>, share: Arc<Semaphore>) -> Self {
        Self { all, share }
    }

    /// Waits for so many bytes. Whoever waits for his share keeps nothing from the others.
    pub(super) async fn take(&self, bytes: usize) -> Option<Held> {
        let bytes = u32::try_from(bytes).ok()?;
        let share = Arc::clone(&self.share).acquire_many_owned(bytes).await.ok()?;
        let all = Arc::clone(&self.all).acquire_many_owned(bytes).await.ok()?;
        Some(Held { all, share })
    }
}

impl Held {
    /// Keeps more.
    pub(super) fn merge(&mut self, more: Self) {
        self.all.merge(more.all);
        self.share.merge(more.share);
    }
}

/// Room for so many bytes.
pub(super) fn room(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_share_that_is_taken_leaves_the_rest_to_others() {
        let all = room(100);
        let one = BodyMemory::new(Arc::clone(&all), room(60));
        let other = BodyMemory::new(all, room(60));
        let mut held = one.take(50).await.unwrap();
        held.merge(one.take(10).await.unwrap());
        let mut waiting = Box::pin(one.take(30));
        assert!((&mut waiting).now_or_never().is_none());
        let theirs = other.take(40).now_or_never().flatten().expect("there is room");
        assert!(other.take(1).now_or_never().is_none(), "all is taken");
        drop(held);
        assert!(waiting.now_or_never().flatten().is_some());
        drop(theirs);
        assert!(other.take(60).now_or_never().flatten().is_some());
    }
}
