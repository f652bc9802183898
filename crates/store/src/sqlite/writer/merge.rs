//! Moving entries on to their logs, between commits.

use std::sync::Arc;

use super::Writer;
use crate::sqlite::{
    fresh::{self, Round},
    point::Point,
};

/// What the writer knows of the entries that are fresh.
#[derive(Default)]
pub(super) struct Fresh {
    /// How many there are at most; `None` while nobody has counted them.
    count: Option<u64>,
    /// Those that are being moved.
    round: Option<Round>,
    /// Moving failed, and that was said.
    failing: bool,
}

impl Fresh {
    /// So many more came.
    pub(super) fn add(&mut self, entries: usize) {
        self.count = self.count.map(|count| count + entries as u64);
    }

    /// Whether there is something to move, if so many may stay.
    pub(super) fn is_due(&self, most: u64) -> bool {
        self.round.is_some() || self.count.is_none_or(|count| count > most)
    }
}

impl Writer {
    /// Moves entries, once there are more fresh ones than should be: one transaction beside a short queue; beside any as many
    /// as it takes while there are twice as many, so that there is an end to them whatever is appended.
    pub(super) fn merge(&mut self, mut short: bool) {
        while self.state.fresh.is_due(self.fresh) {
            match self.merge_some(short) {
                Ok(true) => short = false,
                Ok(false) => return,
                Err(error) => {
                    if !std::mem::replace(&mut self.state.fresh.failing, true) {
                        tracing::warn!(%error, "fresh entries could not be moved to their logs, it is tried again");
                    }
                    // When more have come. Nothing is amiss meanwhile, but reading gets slower.
                    self.state.fresh.count = Some(0);
                    self.state.fresh.round = None;
                    return;
                }
            }
        }
    }

    /// One transaction, if it may be; otherwise `false`.
    fn merge_some(&mut self, short: bool) -> Result<bool, rusqlite::Error> {
        let state = &mut self.state.fresh;
        if state.round.is_none() {
            // What was removed was not subtracted.
            let conn = super::lock(&self.conn);
            let count = fresh::count(&conn)?;
            state.count = Some(count);
            if count > self.fresh {
                state.round = Round::begin(&conn)?;
            }
        }
        let (Some(round), Some(count)) = (state.round, state.count) else { return Ok(false) };
        if !short && count <= self.fresh.saturating_mul(2) {
            return Ok(false);
        }
        let clock = Arc::clone(&self.clock);
        let (moved, left) = self.beside(Point::Merged, |conn| round.go_on(conn, &*clock))?;
        let state = &mut self.state.fresh;
        state.count = Some(count.saturating_sub(moved));
        state.round = left;
        state.failing = false;
        Ok(true)
    }
}
