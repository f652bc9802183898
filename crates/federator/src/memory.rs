//! How much of request bodies is held at a time, and of that for each of those for whom they are.

use std::{hash::Hash, sync::Arc};

use listening::{Turn, Turns};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory for bodies, and of it a share for each who is here: a peer's address, or the backend that is called.
pub(crate) struct Shares<K> {
    all: Arc<Semaphore>,
    bytes_each: usize,
    turns: Turns<K, Arc<Semaphore>>,
}

/// That somebody is here; over when dropped.
pub(crate) struct Visit<K: Eq + Hash> {
    memory: BodyMemory,
    _turn: Turn<K, Arc<Semaphore>>,
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// So many bytes in all, and so many of them for each, who may be here so often at a time.
    pub(crate) fn new(bytes: usize, bytes_each: usize, visits_each: usize) -> Self {
        Self { all: room(bytes), bytes_each, turns: Turns::new(usize::MAX, visits_each) }
    }

    /// Lets somebody be here once more, unless he is here so often already.
    pub(crate) fn enter(&self, name: K) -> Option<Visit<K>> {
        let turn = self.turns.take_with(name, || room(self.bytes_each))?;
        let memory = BodyMemory { all: Arc::clone(&self.all), share: Arc::clone(turn.share()) };
        Some(Visit { memory, _turn: turn })
    }

    /// How many are here.
    #[cfg(test)]
    pub(crate) fn names(&self) -> usize {
        self.turns.names()
    }
}

impl<K: Eq + Hash> Visit<K> {
    /// The memory for the bodies of his requests.
    pub(crate) fn memory(&self) -> &BodyMemory {
        &self.memory
    }
}

/// The memory for request bodies as one of them sees it: what there is for all, and its share.
#[derive(Clone)]
pub(crate) struct BodyMemory {
    all: Arc<Semaphore>,
    share: Arc<Semaphore>,
}

/// Memory that is taken; given back when dropped.
pub(crate) struct Held {
    all: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

impl BodyMemory {
    /// Waits for so many bytes. Whoever waits for his share keeps nothing from the others.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Held> {
        let bytes = u32::try_from(bytes).ok()?;
        let share = Arc::clone(&self.share).acquire_many_owned(bytes).await.ok()?;
        let all = Arc::clone(&self.all).acquire_many_owned(bytes).await.ok()?;
        Some(Held { all, share })
    }
}

impl Held {
    /// Keeps more.
    pub(crate) fn merge(&mut self, more: Self) {
        self.all.merge(more.all);
        self.share.merge(more.share);
    }
}

/// Room for so many bytes.
fn room(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_share_that_is_taken_leaves_the_rest_to_others() {
        let all = room(100);
        let one = BodyMemory { all: Arc::clone(&all), share: room(60) };
        let other = BodyMemory { all, share: room(60) };
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
