//! How long and how often is measured.

use std::time::Duration;

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds in which everything that is compared takes its turn.
    pub rounds: usize,
    /// How long one cell of a round lasts.
    pub cell: Duration,
    /// How many idle connections are held open to see what each costs.
    pub idle_connections: usize,
    /// How often a start is timed.
    pub starts: usize,
    /// Rounds of the neighbours; in each, a load with bad remotes and two without.
    pub neighbour_rounds: usize,
    /// How long such a load lasts.
    pub neighbour_load: Duration,
    /// How long an answer may take from the call to its last byte in that load: what ends an answer that trickles. It is
    /// an option of the caller; the default of 90 s would make the rounds long.
    pub neighbour_answer: Duration,
}

impl Plan {
    /// Under ten minutes.
    pub const FULL: Self = Self {
        rounds: 5,
        cell: Duration::from_millis(1500),
        idle_connections: 800,
        starts: 5,
        neighbour_rounds: 4,
        neighbour_load: Duration::from_secs(10),
        neighbour_answer: Duration::from_secs(15),
    };

    /// Under two minutes.
    pub const QUICK: Self = Self {
        rounds: 3,
        cell: Duration::from_millis(400),
        idle_connections: 200,
        starts: 3,
        neighbour_rounds: 2,
        neighbour_load: Duration::from_secs(3),
        neighbour_answer: Duration::from_secs(5),
    };
}
