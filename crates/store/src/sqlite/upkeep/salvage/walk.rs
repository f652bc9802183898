//! Walking through a table of which SQLite cannot read every page.

use rusqlite::{Connection, ErrorCode, Row, Statement};

use crate::sqlite::{columns, upkeep::UpkeepError};

/// Positions behind one that cannot be read that are tried one after another. Then the steps double.
const ONE_BY_ONE: u32 = 256;

/// What is met on the way.
pub(super) enum Found<'a> {
    Row(&'a Row<'a>),
    /// Between these positions, both included, nothing can be read. There may have been nothing.
    Gap(i64, i64),
}

/// Whether SQLite met damage, or a disk that does not give back what it holds.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | SystemIoFailure))
}

/// Walks through the rows from one position to another, around what cannot be read.
pub(super) struct Walk<'a> {
    pub(super) conn: &'a Connection,
    /// Selects the rows from position `?1` to `?2` in their order.
    pub(super) sql: &'a str,
    /// The column with the position.
    pub(super) at: usize,
    pub(super) failed: &'a dyn Fn(rusqlite::Error) -> UpkeepError,
}

impl Walk<'_> {
    pub(super) fn through(
        &self,
        from: i64,
        upto: i64,
        meet: &mut dyn FnMut(Found<'_>) -> Result<(), UpkeepError>,
    ) -> Result<(), UpkeepError> {
        let mut statement = self.conn.prepare_cached(self.sql).map_err(self.failed)?;
        let mut next = from;
        while let Some(broken) = self.until_it_breaks(&mut statement, next, upto, meet)? {
            let again = self.readable_after(&mut statement, broken, upto)?;
            meet(Found::Gap(broken, again.map_or(upto, |again| again - 1)))?;
            let Some(again) = again else { return Ok(()) };
            next = again;
        }
        Ok(())
    }

    /// Reads on, and says from which position on it cannot be read.
    fn until_it_breaks(
        &self,
        statement: &mut Statement<'_>,
        from: i64,
        upto: i64,
        meet: &mut dyn FnMut(Found<'_>) -> Result<(), UpkeepError>,
    ) -> Result<Option<i64>, UpkeepError> {
        let mut next = from;
        let mut rows = statement.query((from, upto)).map_err(self.failed)?;
        loop {
            match rows.next() {
                Ok(Some(row)) => match columns::number(row, self.at) {
                    Ok(at) if at >= next => {
                        meet(Found::Row(row))?;
                        if at >= upto {
                            return Ok(None);
                        }
                        next = at + 1;
                    }
                    // Positions rise, unless pages lead to each other.
                    _ => return Ok(Some(next)),
                },
                Ok(None) => return Ok(None),
                Err(error) if is_damage(&error) => return Ok(Some(next)),
                Err(error) => return Err((self.failed)(error)),
            }
        }
    }

    /// The next position from which something can be read, or is known not to be there.
    fn readable_after(
        &self,
        statement: &mut Statement<'_>,
        broken: i64,
        upto: i64,
    ) -> Result<Option<i64>, UpkeepError> {
        let (mut broken, mut step, mut tried) = (broken, 1_i64, 0);
        let mut readable = loop {
            let Some(at) = broken.checked_add(step).filter(|at| *at <= upto) else { break upto };
            if self.is_readable(statement, at, upto)? {
                break at;
            }
            broken = at;
            tried += 1;
            if tried > ONE_BY_ONE {
                step = step.saturating_mul(2);
            }
        };
        if readable == upto && !self.is_readable(statement, upto, upto)? {
            return Ok(None);
        }
        while i128::from(readable) - i128::from(broken) > 1 {
            let middle = i64::midpoint(broken, readable);
            if self.is_readable(statement, middle, upto)? {
                readable = middle;
            } else {
                broken = middle;
            }
        }
        Ok(if readable > broken { Some(readable) } else { None })
    }

    fn is_readable(&self, statement: &mut Statement<'_>, from: i64, upto: i64) -> Result<bool, UpkeepError> {
        let mut rows = statement.query((from, upto)).map_err(self.failed)?;
        match rows.next() {
            Ok(Some(row)) => Ok(columns::number(row, self.at).is_ok_and(|at| at >= from)),
            Ok(None) => Ok(true),
            Err(error) if is_damage(&error) => Ok(false),
            Err(error) => Err((self.failed)(error)),
        }
    }
}
