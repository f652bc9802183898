//! Where passwords are hashed: a bounded number at a time, on threads of their own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use secrecy::SecretString;
use tokio::sync::Semaphore;
use types::Rng;

use super::{HashingOptions, PasswordHash, Verdict, hash, verify};

/// Hashes and verifies without holding up requests that need no password. At most `parallel` run at once and at most
/// `waiting` more wait; who comes then is sent away at once, so that a flood of logins costs its senders and not us.
#[derive(Clone)]
pub struct PasswordPool {
    options: HashingOptions,
    permits: Arc<Semaphore>,
    places: Arc<AtomicUsize>,
    rng: Arc<dyn Rng>,
}

/// Too many passwords wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be checked")]
pub struct Overloaded;

impl PasswordPool {
    /// A pool for so many at once, and so many more in the queue.
    pub fn new(options: HashingOptions, parallel: usize, waiting: usize, rng: Arc<dyn Rng>) -> Self {
        let parallel = parallel.max(1);
        let places = Arc::new(AtomicUsize::new(parallel + waiting));
        Self { options, permits: Arc::new(Semaphore::new(parallel)), places, rng }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash, Overloaded> {
        let (options, rng) = (self.options, Arc::clone(&self.rng));
        self.run(move || hash(&password, options, &*rng)).await
    }

    /// Compares a password with a stored hash. Where there is none every password is wrong, after as much work: how long
    /// it takes must not tell whether there is an account.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn verify(&self, password: SecretString, stored: Option<PasswordHash>) -> Result<Verdict, Overloaded> {
        let Some(stored) = stored else { return self.hash(password).await.map(|_| Verdict::Wrong) };
        let options = self.options;
        self.run(move || verify(&password, &stored, options)).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Overloaded> {
        let place = Place::take(&self.places).ok_or(Overloaded)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Overloaded)?;
        let work = move || {
            // Held until the work is done, also if the caller has gone away meanwhile: the core is busy until then.
            let _held = (place, permit);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Overloaded)
    }
}

/// A place in the queue, given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(places: &Arc<AtomicUsize>) -> Option<Self> {
        let one_less = |free: usize| free.checked_sub(1);
        places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok()?;
        Some(Self(Arc::clone(places)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use types::SeededRng;

    use super::*;

    fn pool(parallel: usize, waiting: usize) -> PasswordPool {
        PasswordPool::new(HashingOptions::CHEAPEST, parallel, waiting, Arc::new(SeededRng::new(1)))
    }

    #[tokio::test]
    async fn hashes_and_verifies() {
        let pool = pool(1, 0);
        let stored = pool.hash("secret".to_owned().into()).await.unwrap();
        assert_eq!(pool.verify("secret".to_owned().into(), Some(stored.clone())).await, Ok(Verdict::Right));
        assert_eq!(pool.verify("other".to_owned().into(), Some(stored)).await, Ok(Verdict::Wrong));
        assert_eq!(pool.verify("other".to_owned().into(), None).await, Ok(Verdict::Wrong));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_recovers() {
        let pool = pool(1, 1);
        let (start, gate) = std::sync::mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || gate.recv().is_ok()).await }
        });
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| true).await }
        });
        while pool.places.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| true).await, Err(Overloaded));
        assert_eq!(pool.verify("x".to_owned().into(), None).await, Err(Overloaded), "it is work like any other");
        start.send(()).unwrap();
        assert_eq!(running.await.unwrap(), Ok(true));
        assert_eq!(waiting.await.unwrap(), Ok(true));
        assert_eq!(pool.run(|| true).await, Ok(true));
    }
}
