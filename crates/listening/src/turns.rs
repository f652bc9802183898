//! How many there are at a time, of connections or of calls, so that nobody's are all of them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A bound, in all and for each of those whose turns they are. While somebody has turns he may have a share of something
/// else, which is the same for all of them. Nothing is kept of those who have none.
pub struct Turns<K, S = ()>(Arc<Shared<K, S>>);

struct Shared<K, S> {
    all: usize,
    each: usize,
    taken: Mutex<Taken<K, S>>,
}

struct Taken<K, S> {
    all: usize,
    by_name: HashMap<K, Own<S>>,
}

/// What one of them has.
struct Own<S> {
    turns: usize,
    share: S,
}

/// One turn; given back when dropped.
pub struct Turn<K: Eq + Hash, S = ()> {
    shared: Arc<Shared<K, S>>,
    name: K,
    share: S,
}

impl<K: Clone + Eq + Hash, S: Clone> Turns<K, S> {
    /// So many in all, and so many of them for each.
    pub fn new(all: usize, each: usize) -> Self {
        Self(Arc::new(Shared { all, each, taken: Mutex::new(Taken { all: 0, by_name: HashMap::new() }) }))
    }

    /// One more for `name`, with his share, which is made for his first; `None` where there are as many as there may be, in
    /// all or of his own.
    pub fn take_with(&self, name: K, share: impl FnOnce() -> S) -> Option<Turn<K, S>> {
        let mut taken = self.0.taken();
        let Taken { all, by_name } = &mut *taken;
        if *all >= self.0.all || self.0.each == 0 {
            return None;
        }
        let share = match by_name.get_mut(&name) {
            Some(own) if own.turns >= self.0.each => return None,
            Some(own) => {
                own.turns += 1;
                own.share.clone()
            }
            None => {
                let share = share();
                by_name.insert(name.clone(), Own { turns: 1, share: share.clone() });
                share
            }
        };
        *all += 1;
        Some(Turn { shared: Arc::clone(&self.0), name, share })
    }

    /// How many have a turn.
    pub fn names(&self) -> usize {
        self.0.taken().by_name.len()
    }
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// One more for `name`; `None` where there are as many as there may be, in all or of its own.
    pub fn take(&self, name: K) -> Option<Turn<K>> {
        self.take_with(name, || ())
    }
}

impl<K: Eq + Hash, S> Turn<K, S> {
    /// The share of whoever has the turn.
    pub fn share(&self) -> &S {
        &self.share
    }
}

impl<K, S> Shared<K, S> {
    fn taken(&self) -> MutexGuard<'_, Taken<K, S>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, S> Drop for Turn<K, S> {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        taken.all -= 1;
        let Some(own) = taken.by_name.get_mut(&self.name) else { return };
        own.turns -= 1;
        if own.turns == 0 {
            taken.by_name.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_his_share_and_all_no_more_than_there_is() {
        let turns = Turns::new(3, 2);
        let first = turns.take("a").unwrap();
        let second = turns.take("a").unwrap();
        assert!(turns.take("a").is_none(), "his share");
        let other = turns.take("b").unwrap();
        assert!(turns.take("c").is_none(), "all");
        drop(first);
        let third = turns.take("c").unwrap();
        assert!(turns.take("a").is_none());
        drop((second, other, third));
        assert_eq!(turns.names(), 0, "nothing is remembered of those who have gone");
        assert_eq!(turns.0.taken().all, 0);
    }

    #[test]
    fn all_turns_of_one_have_the_same_share_and_it_goes_with_the_last() {
        let turns = Turns::new(9, 9);
        let made = std::cell::Cell::new(0);
        let take = |name| {
            let share = || {
                made.set(made.get() + 1);
                Arc::new(made.get())
            };
            turns.take_with(name, share).unwrap()
        };
        let (first, second, other) = (take("a"), take("a"), take("b"));
        assert_eq!((**first.share(), **other.share()), (1, 2));
        assert!(Arc::ptr_eq(first.share(), second.share()));
        drop(first);
        assert_eq!(**take("a").share(), 1);
        drop(second);
        assert_eq!(**take("a").share(), 3);
    }
}
