//! How many there are at a time, of connections or of calls, so that nobody's are all of them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A bound, in all and for each of those whose turns they are. Nothing is kept of those who have none.
pub struct Turns<K>(Arc<Shared<K>>);

struct Shared<K> {
    all: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    all: usize,
    by_name: HashMap<K, usize>,
}

/// One turn; given back when dropped.
pub struct Turn<K: Eq + Hash> {
    shared: Arc<Shared<K>>,
    name: K,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// So many in all, and so many of them for each.
    pub fn new(all: usize, each: usize) -> Self {
        Self(Arc::new(Shared { all, each, taken: Mutex::new(Taken { all: 0, by_name: HashMap::new() }) }))
    }

    /// One more for `name`; `None` where there are as many as there may be, in all or of its own.
    pub fn take(&self, name: K) -> Option<Turn<K>> {
        let mut taken = self.0.taken();
        let own = taken.by_name.get(&name).copied().unwrap_or(0);
        if taken.all >= self.0.all || own >= self.0.each {
            return None;
        }
        taken.all += 1;
        taken.by_name.insert(name.clone(), own + 1);
        Some(Turn { shared: Arc::clone(&self.0), name })
    }

    /// How many have a turn.
    pub fn names(&self) -> usize {
        self.0.taken().by_name.len()
    }
}

impl<K> Shared<K> {
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        taken.all -= 1;
        let Some(count) = taken.by_name.get_mut(&self.name) else { return };
        *count -= 1;
        if *count == 0 {
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
}
