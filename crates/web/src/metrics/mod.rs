//! What every process counts, whatever it serves: how long requests take, and what the process uses.

mod durations;
mod resources;

pub use durations::{Durations, LEFT, Measurement, UNKNOWN_HANDLER};
pub(crate) use durations::{Handled, label};
pub use resources::Resources;
