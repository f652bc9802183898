//! How many calls are under way, so that nobody's calls are all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A bound of calls, in all and for each of those whose calls they are.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Shared>);

struct Shared {
    all: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_name: HashMap<String, usize>,
}

/// The right to make one call, until it is dropped.
pub(crate) struct Turn {
    shared: Arc<Shared>,
    name: String,
}

impl Turns {
    pub(crate) fn new(all: usize, each: usize) -> Self {
        Self(Arc::new(Shared { all, each, taken: Mutex::default() }))
    }

    /// The right to a call; `None` where there are as many as there may be, in all or by this name.
    pub(crate) fn take(&self, name: &str) -> Option<Turn> {
        let mut taken = self.0.taken();
        let own = taken.by_name.get(name).copied().unwrap_or(0);
        if taken.all >= self.0.all || own >= self.0.each {
            return None;
        }
        taken.all += 1;
        match taken.by_name.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(taken.by_name.insert(name.to_owned(), 1)),
        }
        Some(Turn { shared: Arc::clone(&self.0), name: name.to_owned() })
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        taken.all -= 1;
        if let Some(count) = taken.by_name.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                taken.by_name.remove(&self.name);
            }
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
        assert!(turns.0.taken().by_name.is_empty(), "nothing is remembered of those who have gone");
        assert_eq!(turns.0.taken().all, 0);
    }
}
