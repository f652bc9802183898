//! Where asynchronous targets run.

use tokio::runtime::{Builder, Runtime};

/// Runs something to its end, on a runtime that each thread keeps.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}
