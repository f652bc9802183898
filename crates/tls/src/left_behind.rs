//! That the certificate for calls to others is an old one, as its successor is of no use for them.

use std::time::{Duration, Instant};

use tracing::error;

use crate::TlsError;

/// How often it is told.
const REMINDER: Duration = Duration::from_secs(24 * 3600);

/// Whether it is so, and when that was told last.
#[derive(Debug, Default)]
pub(crate) struct LeftBehind(Option<(TlsError, Instant)>);

impl LeftBehind {
    /// From now on it is so.
    pub(crate) fn because(error: TlsError, now: Instant) -> Self {
        tell(&error);
        Self(Some((error, now)))
    }

    /// Tells it again when it is time; whether it was.
    pub(crate) fn remind(&mut self, now: Instant) -> bool {
        let Some((error, told)) = &mut self.0 else { return false };
        let due = now.saturating_duration_since(*told) >= REMINDER;
        if due {
            tell(error);
            *told = now;
        }
        due
    }
}

fn tell(error: &TlsError) {
    error!(
        failure = error.name(),
        "federation setup error while updating certificates: the new one is shown to callers, but calls to others go on \
         with the old one, and end when it expires: {error}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Problem, Role};

    #[test]
    fn it_is_told_daily() {
        let start = Instant::now();
        let mut left_behind = LeftBehind::because(Role::Client.bad_certificate("x", Problem::NotForCalls), start);
        for (hours, told) in [(0, false), (23, false), (24, true), (25, false), (47, false), (49, true), (50, false)] {
            assert_eq!(left_behind.remind(start + Duration::from_secs(hours * 3600)), told, "{hours} h");
        }
        assert!(!LeftBehind::default().remind(start + 2 * REMINDER), "it is not so");
    }
}
