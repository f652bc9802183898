//! The real federator with components behind it that take note instead of working.

mod backend;
mod component;

pub use backend::{RecordingBackend, RecordingPlan};
pub use component::RecordingComponent;
