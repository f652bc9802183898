//! Who watches the steps.

use std::sync::Mutex;

use services::{Hop, HopObserver};

/// Remembers every step.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Hop>>);

impl HopObserver for Recorder {
    fn hop(&self, hop: Hop) {
        self.0.lock().unwrap().push(hop);
    }
}

impl Recorder {
    /// The steps so far, as JSON, and forgets them.
    pub fn take(&self) -> Vec<serde_json::Value> {
        let hops = std::mem::take(&mut *self.0.lock().unwrap());
        hops.iter().map(|hop| serde_json::to_value(hop).unwrap()).collect()
    }

    /// The names of the steps so far, and forgets them.
    pub fn names(&self) -> Vec<String> {
        self.take().iter().map(|hop| hop["step"].as_str().unwrap().to_owned()).collect()
    }
}
