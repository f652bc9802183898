//! Whether somebody was heard from lately. Whoever is silent holds what he was asked for long, and is to have little room.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use crate::limits::UnheardLimits;

/// What is known of those who are asked.
pub(super) struct Hearings<K> {
    limits: UnheardLimits,
    known: Mutex<HashMap<K, Arc<Hearing>>>,
}

impl<K: Clone + Eq + Hash> Hearings<K> {
    /// Nobody was heard yet.
    pub(super) fn new(limits: UnheardLimits) -> Self {
        Self { limits, known: Mutex::default() }
    }

    /// What those have who were not heard from.
    pub(super) fn limits(&self) -> &UnheardLimits {
        &self.limits
    }

    /// What is known of one. It is kept while calls to him are under way, and as long as it says something; beyond the bound
    /// for the former alone.
    pub(super) fn of(&self, name: &K) -> Arc<Hearing> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hearing) = known.get(name) {
            return Arc::clone(hearing);
        }
        if known.len() >= self.limits.remembered {
            known.retain(|_, hearing| Arc::strong_count(hearing) > 1 || hearing.lately());
        }
        let hearing = Arc::new(Hearing { heard: Mutex::default(), told: Notify::new(), limits: self.limits });
        if known.len() < self.limits.remembered {
            known.insert(name.clone(), Arc::clone(&hearing));
        }
        hearing
    }
}

/// What is known of one.
pub(crate) struct Hearing {
    heard: Mutex<Heard>,
    told: Notify,
    limits: UnheardLimits,
}

impl Hearing {
    /// Whether he was heard from lately.
    pub(super) fn lately(&self) -> bool {
        self.heard().lately(Instant::now(), &self.limits)
    }

    /// Waits until he is heard from, if he was not lately.
    pub(super) async fn until_lately(&self) {
        loop {
            let told = self.told.notified();
            if self.lately() {
                return;
            }
            told.await;
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That somebody is asked something; over when dropped.
pub(crate) struct Asking(Arc<Hearing>);

impl Asking {
    /// From now on.
    pub(super) fn begin(hearing: Arc<Hearing>) -> Self {
        hearing.heard().asked(Instant::now());
        Self(hearing)
    }

    /// He has answered, whatever it was.
    pub(crate) fn answered(&self) {
        self.0.heard().answered(Instant::now());
        self.0.told.notify_waiters();
    }

    /// He could not be reached, or gave no answer.
    pub(crate) fn in_vain(&self) {
        self.0.heard().in_vain();
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.heard().left();
    }
}

/// The rule: somebody was heard from lately if his last answer is not old, nothing was asked in vain since, and of what
/// he is asked nothing waits for long without a word of his.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// His last answer; none after something was asked in vain.
    last: Option<Instant>,
    /// How many wait for an answer.
    asking: usize,
    /// Since when somebody waits and nothing was heard.
    silent: Option<Instant>,
}

impl Heard {
    fn asked(&mut self, now: Instant) {
        self.asking += 1;
        self.silent.get_or_insert(now);
    }

    fn answered(&mut self, now: Instant) {
        self.last = Some(now);
        self.silent = Some(now);
    }

    fn in_vain(&mut self) {
        self.last = None;
    }

    fn left(&mut self) {
        self.asking = self.asking.saturating_sub(1);
        if self.asking == 0 {
            self.silent = None;
        }
    }

    fn lately(&self, now: Instant, limits: &UnheardLimits) -> bool {
        let since = |then: Instant| now.saturating_duration_since(then);
        self.last.is_some_and(|last| since(last) < limits.remembered_for)
            && self.silent.is_none_or(|silent| since(silent) < limits.silence)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Asked,
        Answered,
        InVain,
        Left,
    }
    use Event::{Answered, Asked, InVain, Left};

    const LIMITS: UnheardLimits = UnheardLimits {
        small: 1,
        large: 1,
        silence: Duration::from_secs(2),
        remembered_for: Duration::from_secs(60),
        remembered: 2,
    };

    #[test]
    fn who_was_heard_from_lately() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        for (events, asked_at, expected) in [
            // Nothing is known.
            (&[][..], 0, false),
            (&[(0, Asked)], 0, false),
            (&[(0, Asked), (0, Left)], 0, false),
            // Heard, and nothing is asked since.
            (&[(0, Asked), (1, Answered), (1, Left)], 60_000, true),
            (&[(0, Asked), (1, Answered), (1, Left)], 60_001, false),
            // Heard, and asked again without an answer.
            (&[(0, Asked), (1, Answered), (1, Left), (9_000, Asked)], 10_999, true),
            (&[(0, Asked), (1, Answered), (1, Left), (9_000, Asked)], 11_000, false),
            // More questions make him no more silent and no less.
            (&[(0, Asked), (1, Answered), (1, Left), (9_000, Asked), (10_999, Asked)], 11_000, false),
            // One of two was answered: the other one waits from then on.
            (&[(0, Asked), (0, Asked), (1_500, Answered), (1_500, Left)], 3_499, true),
            (&[(0, Asked), (0, Asked), (1_500, Answered), (1_500, Left)], 3_500, false),
            // Late, but an answer.
            (&[(0, Asked), (9_000, Answered), (9_000, Left)], 9_001, true),
            // Who asked went away, which says nothing.
            (&[(0, Asked), (1, Answered), (1, Left), (2, Asked), (9_000, Left)], 9_001, true),
            // In vain once is enough, until the next answer.
            (&[(0, Asked), (1, Answered), (1, Left), (2, Asked), (3, InVain), (3, Left)], 4, false),
            (&[(0, Asked), (3, InVain), (3, Left), (4, Asked), (5, Answered), (5, Left)], 6, true),
        ] {
            let mut heard = Heard::default();
            for (when, event) in events {
                match event {
                    Asked => heard.asked(at(*when)),
                    Answered => heard.answered(at(*when)),
                    InVain => heard.in_vain(),
                    Left => heard.left(),
                }
            }
            assert_eq!(heard.lately(at(asked_at), &LIMITS), expected, "{events:?} at {asked_at}");
        }
    }

    #[test]
    fn only_so_many_are_remembered_and_those_who_were_heard_for_longest() {
        let hearings = Hearings::new(LIMITS);
        let answered = |name| {
            let hearing = hearings.of(&name);
            Asking::begin(Arc::clone(&hearing)).answered();
            assert!(hearing.lately());
        };
        answered("a");
        hearings.of(&"b");
        answered("c");
        let lately = |names: [&'static str; 4]| names.map(|name| hearings.of(&name).lately());
        assert_eq!(lately(["a", "b", "c", "d"]), [true, false, true, false], "b has said nothing");
        answered("d");
        assert!(!hearings.of(&"d").lately(), "there is room for two");
        hearings.of(&"a").heard().in_vain();
        answered("d");
        assert_eq!(lately(["a", "b", "c", "d"]), [false, false, true, true]);
    }
}
