//! Wake-ups: what this node has just appended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::broadcast::{self, error::RecvError};

use crate::{Appended, limits};

/// Entries that this node applies to logs of one kind, from now on.
///
/// For wake-ups, so lossy: a slow watcher loses the oldest, and other nodes' entries never come. Each entry names its
/// predecessor, so a reader sees a gap and reads it from the log.
#[derive(Debug)]
pub struct Watch {
    feed: broadcast::Receiver<Appended>,
    missed: u64,
}

impl Watch {
    /// The next entry; `None` when the store is gone.
    pub async fn next(&mut self) -> Option<Appended> {
        loop {
            match self.feed.recv().await {
                Ok(appended) => return Some(appended),
                Err(RecvError::Lagged(n)) => self.missed = self.missed.saturating_add(n),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many entries were lost until now because they were not taken in time.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// Where an engine announces what it applied.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mutex<HashMap<u16, broadcast::Sender<Appended>>>>);

impl Feed {
    /// Tells the watchers. In the order of the ids within each log.
    pub fn announce<'a>(&self, appended: impl IntoIterator<Item = &'a Appended>) {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.is_empty() {
            return;
        }
        for one in appended {
            if let Some(watchers) = kinds.get(&one.log.tag) {
                // Without watchers nobody needs to know.
                let _ = watchers.send(one.clone());
            }
        }
    }

    pub(crate) fn watch(&self, tag: u16) -> Watch {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.retain(|_, watchers| watchers.receiver_count() > 0);
        let feed = kinds.entry(tag).or_insert_with(|| broadcast::channel(limits::WATCH_BACKLOG).0).subscribe();
        Watch { feed, missed: 0 }
    }
}
