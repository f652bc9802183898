//! The connections to one remote.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::link::{Link, Stream};
use crate::{discovery::Target, limits::OutboundLimits};

/// Connections that take new calls.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Arc<Link>>>);

impl Pool {
    /// A connection for one more call: to a target of the current record, made with the current key material. The
    /// preferred target's least busy one is taken. `None` where one should be opened: there is none, or all are busy
    /// and there may be more.
    pub(super) fn choose(&self, targets: &[Target], generation: u64, limits: &OutboundLimits) -> Option<Stream> {
        let links = self.usable(targets, generation, limits);
        let best = links.iter().min_by_key(|link| (link.target.priority, link.streams()))?;
        if best.streams() < limits.streams {
            return Some(best.begin_stream());
        }
        let least_busy = links.iter().min_by_key(|link| link.streams())?;
        let full = least_busy.streams() >= limits.streams && links.len() < limits.connections;
        (!full).then(|| least_busy.begin_stream())
    }

    /// A connection for one more call where no further one can be opened.
    pub(super) fn any(&self, targets: &[Target], generation: u64, limits: &OutboundLimits) -> Option<Stream> {
        let links = self.usable(targets, generation, limits);
        Some(links.iter().min_by_key(|link| link.streams())?.begin_stream())
    }

    /// Takes up a new connection.
    pub(super) fn keep(&self, link: Arc<Link>) {
        self.links().push(link);
    }

    /// Lets go of a connection; calls under way on it go on.
    pub(super) fn forget(&self, link: &Arc<Link>) {
        self.links().retain(|kept| !Arc::ptr_eq(kept, link));
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.links().is_empty()
    }

    fn usable(&self, targets: &[Target], generation: u64, limits: &OutboundLimits) -> MutexGuard<'_, Vec<Arc<Link>>> {
        let mut links = self.links();
        links.retain(|link| link.is_usable(generation, limits) && targets.iter().any(|t| leads_to(link, t)));
        links
    }

    fn links(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn leads_to(link: &Link, target: &Target) -> bool {
    link.target.host == target.host && link.target.port == target.port
}
