//! Work that is brought to its end even when the one who asked for it goes away.

use std::panic;

use tracing::Instrument as _;

use crate::trouble::Trouble;

/// Does the work in a task of its own and waits for it.
///
/// A handler is dropped where it waits when its client closes the connection. What is committed stays committed all the
/// same, so whatever must follow a commit belongs in here together with it.
///
/// # Errors
/// Those of the work; and that the process is stopping, in which case nobody knows how far it came.
pub(crate) async fn to_the_end<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Trouble> + Send + 'static,
{
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(cause) => panic::resume_unwind(cause),
            Err(error) => Err(Trouble::Failed(error.to_string()).into()),
        },
    }
}
