//! Collects the steps of federated calls while an act is played.

use std::sync::{Mutex, PoisonError};

use services::{Hop, HopObserver};

/// The steps since the last look.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Hop>>);

impl Recorder {
    /// Takes what was collected.
    pub fn take(&self) -> Vec<Hop> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HopObserver for Recorder {
    fn hop(&self, hop: Hop) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(hop);
    }
}
