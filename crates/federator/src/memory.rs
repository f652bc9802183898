//! How much of request bodies is held at a time, and of that for each of those for whom they are.
//!
//! Small bodies and large ones have rooms of their own, so that neither waits for the other. In each room there is so much
//! for all and so much for each, and whoever waits for his own share keeps nothing from the others. Where it is known who was
//! heard from lately ([`UnheardLimits`]), those who were not have much less: of the room for small bodies each a small part,
//! of the room for large ones all together the part of one.

mod hearing;

use std::{hash::Hash, sync::Arc};

use listening::{Turn, Turns};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::hearing::Asking;
use self::hearing::{Hearing, Hearings};
use crate::limits::{MemoryLimits, UnheardLimits};

/// The memory for bodies, and of it a share for each who is here: a peer's address, or the backend that is called.
pub(crate) struct Shares<K> {
    limits: MemoryLimits,
    all: Arc<All>,
    hearings: Option<Hearings<K>>,
    turns: Turns<K, Arc<Share>>,
}

/// That somebody is here; over when dropped.
pub(crate) struct Visit<K: Eq + Hash> {
    memory: BodyMemory,
    _turn: Turn<K, Arc<Share>>,
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// So much for all and for each, who may be here so often at a time.
    pub(crate) fn new(limits: MemoryLimits, visits_each: usize) -> Self {
        Self::of(limits, visits_each, None)
    }

    /// Those who were not heard from lately have less.
    pub(crate) fn hearing(limits: MemoryLimits, unheard: UnheardLimits) -> Self {
        Self::of(limits, usize::MAX, Some(unheard))
    }

    fn of(limits: MemoryLimits, visits_each: usize, unheard: Option<UnheardLimits>) -> Self {
        let all = All {
            small_bytes: limits.small_bytes,
            rooms: Rooms::new(limits.small, limits.all.saturating_sub(limits.small)),
            unheard: room(unheard.map_or(0, |unheard| unheard.large)),
        };
        let turns = Turns::new(usize::MAX, visits_each);
        Self { limits, all: Arc::new(all), hearings: unheard.map(Hearings::new), turns }
    }

    /// Lets somebody be here once more, unless he is here so often already.
    pub(crate) fn enter(&self, name: K) -> Option<Visit<K>> {
        let hearings = self.hearings.as_ref();
        let share = |name: &K| Share {
            rooms: Rooms::new(self.limits.small_each, self.limits.each),
            unheard: hearings.map(|hearings| hearings.own(name)),
        };
        let turn = self.turns.take_with(name.clone(), || Arc::new(share(&name)))?;
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
    all: Arc<All>,
    share: Arc<Share>,
}

/// What there is for all.
struct All {
    /// Up to this a body is small.
    small_bytes: usize,
    rooms: Rooms,
    /// For large bodies of all those who were not heard from lately.
    unheard: Arc<Semaphore>,
}

/// What there is for one.
struct Share {
    rooms: Rooms,
    unheard: Option<Unheard>,
}

/// What one is known by, and has for small bodies while he was not heard from lately.
struct Unheard {
    hearing: Arc<Hearing>,
    small: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Small,
    Large,
}

/// Memory that is taken; given back when dropped.
pub(crate) struct Held {
    size: Size,
    all: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
    unheard: Option<OwnedSemaphorePermit>,
}

impl BodyMemory {
    /// Waits for room for a body of which there were so many `bytes` and now are so many more. What grows beyond a small one
    /// changes to the other room.
    pub(crate) async fn grow(&self, held: &mut Option<Held>, bytes: usize, more: usize) -> Option<()> {
        let length = bytes.checked_add(more)?;
        let size = self.size(length);
        match held {
            Some(held) if held.size == size => held.merge(self.take(size, more).await?),
            _ => *held = Some(self.take(size, length).await?),
        }
        Some(())
    }

    /// Somebody is asked what such a body holds, if it is known who was heard from.
    pub(crate) fn asking(&self) -> Option<Asking> {
        let Unheard { hearing, .. } = self.share.unheard.as_ref()?;
        Some(Asking::begin(Arc::clone(hearing)))
    }

    fn size(&self, bytes: usize) -> Size {
        if bytes <= self.all.small_bytes { Size::Small } else { Size::Large }
    }

    async fn take(&self, size: Size, bytes: usize) -> Option<Held> {
        let share = take(self.share.rooms.of(size), bytes).await?;
        let unheard = match &self.share.unheard {
            Some(unheard) if !unheard.hearing.lately() => {
                let room = match size {
                    Size::Small => &unheard.small,
                    Size::Large => &self.all.unheard,
                };
                tokio::select! {
                    biased;
                    () = unheard.hearing.until_lately() => None,
                    taken = take(room, bytes) => Some(taken?),
                }
            }
            _ => None,
        };
        let all = take(self.all.rooms.of(size), bytes).await?;
        Some(Held { size, all, share, unheard })
    }
}

impl Held {
    /// Keeps more of the same rooms.
    fn merge(&mut self, more: Self) {
        self.all.merge(more.all);
        self.share.merge(more.share);
        match (&mut self.unheard, more.unheard) {
            (Some(held), Some(more)) => held.merge(more),
            (None, more) => self.unheard = more,
            (Some(_), None) => {}
        }
    }
}

impl<K: Clone + Eq + Hash> Hearings<K> {
    /// What one has of his own.
    fn own(&self, name: &K) -> Unheard {
        Unheard { hearing: self.of(name), small: room(self.limits().small) }
    }
}

/// Room for bodies of each size.
struct Rooms {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Rooms {
    fn new(small: usize, large: usize) -> Self {
        Self { small: room(small), large: room(large) }
    }

    fn of(&self, size: Size) -> &Arc<Semaphore> {
        match size {
            Size::Small => &self.small,
            Size::Large => &self.large,
        }
    }
}

/// Room for so many bytes.
fn room(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}

/// Waits for so many of them.
async fn take(room: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    Arc::clone(room).acquire_many_owned(u32::try_from(bytes).ok()?).await.ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    const LIMITS: MemoryLimits = MemoryLimits { all: 130, each: 60, small_bytes: 5, small: 30, small_each: 20 };
    const UNHEARD: UnheardLimits = UnheardLimits {
        small: 8,
        large: 60,
        silence: Duration::from_secs(60),
        remembered_for: Duration::from_secs(60),
        remembered: 100,
    };

    type Name = &'static str;

    fn now(visit: &Visit<Name>, bytes: usize) -> Option<Held> {
        let mut held = None;
        visit.memory().grow(&mut held, 0, bytes).now_or_never()??;
        held
    }

    #[test]
    fn a_share_that_is_taken_leaves_the_rest_to_others() {
        let shares = Shares::new(LIMITS, usize::MAX);
        let (one, other) = (shares.enter("a").unwrap(), shares.enter("b").unwrap());
        let mut held = now(&one, 50);
        assert!(one.memory().grow(&mut held, 50, 10).now_or_never().flatten().is_some());
        let mut later = None;
        let mut waiting = Box::pin(one.memory().grow(&mut later, 0, 30));
        assert!((&mut waiting).now_or_never().is_none());
        let theirs = now(&other, 40).expect("there is room");
        assert!(now(&other, 6).is_none(), "all is taken");
        drop(held);
        assert!(waiting.now_or_never().flatten().is_some());
        drop((later, theirs));
        assert!(now(&other, 60).is_some());
    }

    #[test]
    fn small_bodies_and_large_ones_do_not_wait_for_each_other() {
        let shares = Shares::new(LIMITS, usize::MAX);
        let (one, other, third) = (shares.enter("a").unwrap(), shares.enter("b").unwrap(), shares.enter("c").unwrap());
        let large = (now(&one, 60), now(&other, 40));
        assert!(large.0.is_some() && large.1.is_some() && now(&third, 6).is_none());
        let small: Vec<Held> = (0..4).filter_map(|_| now(&one, 5)).collect();
        assert_eq!(small.len(), 4);
        assert!(now(&one, 1).is_none(), "his share of small ones");
        let theirs = (now(&other, 5), now(&third, 5));
        assert!(theirs.0.is_some() && theirs.1.is_some() && now(&other, 1).is_none(), "all of the small ones");
        drop(large);
        assert!(now(&third, 60).is_some());
    }

    #[test]
    fn what_grows_beyond_a_small_one_changes_rooms() {
        let shares = Shares::new(LIMITS, usize::MAX);
        let one = shares.enter("a").unwrap();
        let mut held = now(&one, 5);
        assert_eq!(held.as_ref().unwrap().size, Size::Small);
        assert!(one.memory().grow(&mut held, 5, 1).now_or_never().flatten().is_some());
        assert_eq!(held.as_ref().unwrap().size, Size::Large);
        let small: Vec<Held> = (0..4).filter_map(|_| now(&one, 5)).collect();
        assert_eq!(small.len(), 4, "it left the room for small ones");
        assert!(now(&one, 55).is_none() && now(&one, 54).is_some());
    }

    #[tokio::test]
    async fn whoever_is_silent_has_little_until_he_is_heard() {
        let shares = Shares::hearing(LIMITS, UNHEARD);
        let enter = |name| shares.enter(name).unwrap();
        let (silent, mute, healthy) = (enter("silent"), enter("mute"), enter("healthy"));
        let asking = (silent.memory().asking(), mute.memory().asking(), healthy.memory().asking().unwrap());
        // One large body of all of them; small ones each.
        let large = now(&silent, 60);
        assert!(large.is_some() && now(&mute, 60).is_none() && now(&healthy, 6).is_none());
        let small = (now(&silent, 5), now(&mute, 5), now(&healthy, 5));
        assert!(small.0.is_some() && small.1.is_some() && small.2.is_some());
        assert!(now(&silent, 5).is_none() && now(&healthy, 4).is_none());

        // Heard: also what waits already goes on.
        let mut held = None;
        let mut waiting = Box::pin(healthy.memory().grow(&mut held, 0, 40));
        assert!((&mut waiting).now_or_never().is_none());
        asking.2.answered();
        assert!(waiting.await.is_some());
        assert!(now(&healthy, 5).is_some() && now(&mute, 6).is_none());

        // It is remembered without calls as well, and forgotten with the first in vain.
        drop((held, small, asking.2, healthy));
        let healthy = enter("healthy");
        assert!(now(&healthy, 40).is_some());
        healthy.memory().asking().unwrap().in_vain();
        assert!(now(&healthy, 40).is_none() && now(&healthy, 5).is_some());
    }
}
