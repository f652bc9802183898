//! One piece of work at a time, however many wait for it.

use std::sync::{Mutex, PoisonError};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

/// Work that is shared by all who want its result at the same moment. It lives in those who wait: when the last one
/// gives up, it is dropped. The first to come is told that the work is his.
#[derive(Debug)]
pub(crate) struct Flight<T: Clone>(Mutex<Option<WeakShared<BoxFuture<'static, T>>>>);

impl<T: Clone> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Joins the work under way, or starts it. `true` for whoever started it.
    pub(crate) fn join(&self, start: impl FnOnce() -> BoxFuture<'static, T>) -> (Shared<BoxFuture<'static, T>>, bool) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = current.as_ref().and_then(WeakShared::upgrade).filter(|work| work.peek().is_none());
        match running {
            Some(work) => (work, false),
            None => {
                let work = start().shared();
                *current = work.downgrade();
                (work, true)
            }
        }
    }

    /// Whether work is under way.
    pub(crate) fn is_flying(&self) -> bool {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().and_then(WeakShared::upgrade).is_some()
    }
}
