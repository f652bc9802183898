//! What the store may answer instead of doing its work, in brig's terms.

use std::time::Duration;

use public_api::{Failure, error::common};
use store::{CommitError, ReadError, UpdateError};

/// The store did not do what it was asked. Clients learn no more of it than that.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It cannot work at the moment, or others were always faster. Nothing happened and nothing will.
    #[error("{why}")]
    Busy {
        /// What the store said.
        why: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Something is wrong that waiting does not mend, or nobody knows whether the commit happened.
    #[error("{0}")]
    Failed(String),
    /// What is to be stored is larger than the store takes. Nothing happened.
    #[error("{0}")]
    TooLarge(String),
}

impl Trouble {
    /// Why an update came to nothing: for the caller's own reason, or because of the store.
    pub(crate) fn of_update<E: From<Self>>(error: UpdateError<E>) -> E {
        match error {
            UpdateError::Commit(error) => Self::from(error).into(),
            UpdateError::Decide(own) => own,
            UpdateError::Read(error) => Self::from(error).into(),
        }
    }

    /// Others were always faster.
    pub(crate) fn contended(what: &str) -> Self {
        Self::Busy { why: format!("{what} is being changed by too many at once"), retry_after: Duration::from_secs(1) }
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { retry_after } => Self::Busy { why: error.to_string(), retry_after },
            ReadError::Corrupt { .. } | ReadError::Refused(_) => Self::Failed(error.to_string()),
            ReadError::TooLarge { .. } => Self::TooLarge(error.to_string()),
        }
    }
}

impl From<CommitError> for Trouble {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::contended("this"),
            CommitError::Unavailable { retry_after } => Self::Busy { why: error.to_string(), retry_after },
            CommitError::Corrupt { .. } | CommitError::OutcomeUnknown { .. } | CommitError::Refused(_) => {
                Self::Failed(error.to_string())
            }
            CommitError::TooLarge { .. } => Self::TooLarge(error.to_string()),
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Busy { why, retry_after } => {
                tracing::warn!(%why, "the store is busy");
                common::SERVICE_UNAVAILABLE.failure().retry_after(retry_after.as_secs().max(1))
            }
            Trouble::Failed(why) => {
                tracing::error!(%why, "the store failed");
                common::SERVER_ERROR.failure()
            }
            Trouble::TooLarge(why) => {
                tracing::info!(%why, "the store takes no such thing");
                common::BAD_REQUEST.because("Something in the request is too large")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use store::Limit;

    use super::*;

    #[test]
    fn what_is_too_large_is_the_callers_fault() {
        let what = Limit::Value;
        for trouble in [Trouble::from(CommitError::TooLarge { what }), Trouble::from(ReadError::TooLarge { what })] {
            assert_eq!(Failure::from(trouble).status(), 400);
        }
    }
}
