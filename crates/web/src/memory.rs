//! How much memory the bodies of requests take.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// What all bodies together may take.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// For one body, which takes nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share { memory: self.clone(), held: Arc::default() }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(limits::BODY_MEMORY)
    }
}

/// What one body takes; given back with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    memory: Memory,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Share {
    /// Takes so much more, if it is there.
    pub(crate) fn grow(&self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let Ok(more) = Arc::clone(&self.memory.0).try_acquire_many_owned(bytes) else { return false };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        true
    }
}
