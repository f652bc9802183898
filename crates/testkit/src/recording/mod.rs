//! The real federator with components behind it that take note instead of working.

mod backend;
mod component;
mod served;

use std::sync::Arc;

pub use backend::{RecordingBackend, RecordingPlan, search};
pub use component::RecordingComponent;
pub use served::ServedComponents;

/// One recording component in the place of each.
#[derive(Clone, Default)]
pub struct Components {
    /// In the place of brig.
    pub brig: Arc<RecordingComponent>,
    /// In the place of cargohold.
    pub cargohold: Arc<RecordingComponent>,
    /// In the place of galley.
    pub galley: Arc<RecordingComponent>,
}

impl Components {
    /// How many calls reached any of them.
    pub fn calls(&self) -> usize {
        [&self.brig, &self.cargohold, &self.galley].iter().map(|component| component.calls().len()).sum()
    }
}
