//! What is measured, part by part. Each prints its table.

mod connections;
mod inward;
mod neighbours;
mod outward;
mod size;

pub use self::{connections::connections, inward::inward, neighbours::neighbours, outward::outward, size::size};

/// What all parts need.
pub struct Bench {
    /// Where the programs are.
    pub programs: crate::servers::Programs,
    /// How long and how often.
    pub plan: crate::plan::Plan,
}

/// Whether a goal was met, in words.
fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// The servers in the order of a round: each round begins with another one.
fn turns(servers: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..servers).map(move |n| (n + round) % servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_begins_once() {
        let orders: Vec<Vec<usize>> = (0..3).map(|round| turns(3, round).collect()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
    }
}
