//! How much memory the bodies of requests take.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{caller::Caller, limits};

/// What all bodies behind one router may take together, and of that each caller.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    all: Room,
    bytes_per_caller: usize,
    callers: Callers,
}

type Callers = Arc<Mutex<HashMap<Caller, Present>>>;

/// A caller with requests under way.
#[derive(Debug)]
struct Present {
    requests: usize,
    room: Room,
}

impl Memory {
    pub(crate) fn of(bytes: usize, bytes_per_caller: usize) -> Self {
        Self { all: Room::of(bytes), bytes_per_caller, callers: Arc::default() }
    }

    /// For one body, which takes nothing yet. It is its caller's, or no one's in particular and may take all.
    pub(crate) fn share(&self, caller: Option<Caller>) -> Share {
        let mut rooms = Vec::with_capacity(2);
        let visit = caller.map(|caller| {
            let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Present { requests: 0, room: Room::of(self.bytes_per_caller) };
            let present = callers.entry(caller).or_insert_with(new);
            present.requests += 1;
            rooms.push(present.room.clone());
            Visit { caller, callers: Arc::clone(&self.callers) }
        });
        rooms.push(self.all.clone());
        Share(Arc::new(Taken { held: Mutex::default(), rooms, _visit: visit }))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(limits::BODY_MEMORY, limits::BODY_MEMORY_PER_CALLER)
    }
}

/// What one body takes; given back with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Taken>);

/// What is held is given back before the caller is forgotten, so that nobody has two shares.
#[derive(Debug)]
struct Taken {
    held: Mutex<Permits>,
    /// The caller's before that of all: whoever waits for his share keeps nothing from the others.
    rooms: Vec<Room>,
    _visit: Option<Visit>,
}

/// One for each room.
type Permits = Vec<OwnedSemaphorePermit>;

impl Share {
    /// Takes so much more, which is there already and wants its place. If there is none, waits for it, and takes the
    /// time off `patience`; false when that is used up, or when too many bytes wait already.
    pub(crate) async fn grow(&self, bytes: usize, patience: &mut Duration) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let more = match self.at_once(bytes, |room| &room.kept) {
            Some(more) => more,
            None => {
                let Some(_place) = self.at_once(bytes, |room| &room.waiting) else { return false };
                let began = Instant::now();
                let waited = timeout(*patience, self.in_time(bytes)).await;
                *patience = patience.saturating_sub(began.elapsed());
                let Ok(Some(more)) = waited else { return false };
                more
            }
        };
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_empty() {
            *held = more;
        } else {
            held.iter_mut().zip(more).for_each(|(held, more)| held.merge(more));
        }
        true
    }

    fn at_once(&self, bytes: u32, of: impl Fn(&Room) -> &Arc<Semaphore>) -> Option<Permits> {
        self.0.rooms.iter().map(|room| Arc::clone(of(room)).try_acquire_many_owned(bytes).ok()).collect()
    }

    async fn in_time(&self, bytes: u32) -> Option<Permits> {
        let mut permits = Vec::with_capacity(self.0.rooms.len());
        for room in &self.0.rooms {
            permits.push(Arc::clone(&room.kept).acquire_many_owned(bytes).await.ok()?);
        }
        Some(permits)
    }
}

/// Bytes that are kept, and as many again that arrived and wait to be: what waits takes memory too.
#[derive(Clone, Debug)]
struct Room {
    kept: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Room {
    fn of(bytes: usize) -> Self {
        let semaphore = || Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Self { kept: semaphore(), waiting: semaphore() }
    }
}

/// A request under way; with the last of them its caller is forgotten.
#[derive(Debug)]
struct Visit {
    caller: Caller,
    callers: Callers,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = callers.entry(self.caller) {
            entry.get_mut().requests -= 1;
            if entry.get().requests == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const A: Option<Caller> = Some(Caller::Unknown);

    fn b() -> Option<Caller> {
        Some(Caller::Network("192.0.2.1".parse().unwrap()))
    }

    async fn grows(share: &Share, bytes: usize) -> bool {
        share.grow(bytes, &mut Duration::from_millis(1)).await
    }

    #[test]
    fn a_share_holds_the_longest_body() {
        const { assert!(public_api::limits::JSON_BODY <= limits::BODY_MEMORY_PER_CALLER) }
    }

    #[tokio::test]
    async fn a_share_that_is_taken_leaves_the_rest_to_others() {
        let memory = Memory::of(100, 60);
        let (first, second, other) = (memory.share(A), memory.share(A), memory.share(b()));
        assert!(grows(&first, 50).await && grows(&second, 10).await);
        assert!(!grows(&second, 1).await, "the share is taken");
        assert!(grows(&other, 40).await);
        assert!(!grows(&other, 1).await, "all is taken");
        drop((first, second));
        assert!(grows(&other, 20).await);
        assert!(!grows(&other, 1).await);
        assert!(grows(&memory.share(None), 40).await);
    }

    #[tokio::test]
    async fn waiting_succeeds_when_room_comes() {
        let memory = Memory::of(100, 60);
        let (first, second) = (memory.share(A), memory.share(A));
        assert!(grows(&first, 60).await);
        let mut patience = Duration::from_secs(600);
        let mut waiting = Box::pin(second.grow(60, &mut patience));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(!grows(&memory.share(A), 1).await, "no more may wait");
        assert!(grows(&memory.share(b()), 40).await, "who waits for his share keeps nothing from the others");
        drop(first);
        assert!(waiting.await);
    }

    #[tokio::test]
    async fn waiting_uses_up_patience() {
        let memory = Memory::of(100, 60);
        let (first, second) = (memory.share(A), memory.share(A));
        assert!(grows(&first, 50).await);
        let mut patience = Duration::from_millis(2);
        assert!(!second.grow(11, &mut patience).await);
        assert_eq!(patience, Duration::ZERO);
        assert!(second.grow(10, &mut patience).await, "what is there needs none");
    }

    #[tokio::test]
    async fn nothing_is_kept_of_those_who_left() {
        let memory = Memory::of(100, 60);
        let (first, second) = (memory.share(A), memory.share(A));
        let clone = first.clone();
        drop(first);
        assert!(grows(&clone, 60).await);
        drop(clone);
        assert_eq!(memory.callers.lock().unwrap().len(), 1);
        drop(second);
        assert!(memory.callers.lock().unwrap().is_empty());
        assert_eq!((memory.all.kept.available_permits(), memory.all.waiting.available_permits()), (100, 100));
    }
}
