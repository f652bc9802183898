//! An engine in memory, for tests of what stands above it.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use store::{CommitError, Committed, Dir, EntryId, LogRef, ReadError, Version, engine::*};

#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    clock: u64,
    heads: HashMap<Bytes, Version>,
    guarded: BTreeMap<(Bytes, Bytes), (RawPut, Version)>,
    plain: BTreeMap<(Bytes, Bytes), (RawPut, Version)>,
}

#[async_trait]
impl Engine for Memory {
    async fn head(&self, query: &HeadQuery) -> Result<Version, ReadError> {
        tokio::task::yield_now().await;
        Ok(self.0.lock().unwrap().heads.get(&query.aggregate).copied().unwrap_or(Version::NEVER))
    }

    async fn rows(&self, query: &RowQuery) -> Result<RowPage, ReadError> {
        tokio::task::yield_now().await;
        let state = self.0.lock().unwrap();
        let rows = match query.space {
            Space::Guarded => &state.guarded,
            Space::Plain => &state.plain,
        };
        let inside = |key: &Bytes| {
            (match &query.lower {
                Bound::Included(b) => key >= b,
                Bound::Excluded(b) => key > b,
                Bound::Unbounded => true,
            }) && (match &query.upper {
                Bound::Included(b) => key <= b,
                Bound::Excluded(b) => key < b,
                Bound::Unbounded => true,
            })
        };
        let found = rows.iter().filter(|((part, key), (put, _))| {
            *part == query.part && inside(key) && put.expires.is_none_or(|at| at > query.now)
        });
        let found: Vec<_> = found
            .map(|((_, key), (put, version))| RawRow {
                key: key.clone(),
                cell: put.cell.clone(),
                version: *version,
                expires: put.expires,
            })
            .collect();
        let mut found = found;
        if query.dir == Dir::Reverse {
            found.reverse();
        }
        let more = found.len() > query.items;
        found.truncate(query.items);
        Ok(RowPage { rows: found, more })
    }

    async fn entries(&self, _: &LogQuery) -> Result<EntryPage, ReadError> {
        Ok(EntryPage::default())
    }

    async fn commit(&self, commit: &Arc<RawCommit>, _: Duration) -> Result<Committed, CommitError> {
        tokio::task::yield_now().await;
        let mut state = self.0.lock().unwrap();
        state.clock += 1;
        let version = Version::from_micros(state.clock);
        if let Some(aggregate) = &commit.aggregate {
            let head = state.heads.get(&aggregate.bytes).copied().unwrap_or(Version::NEVER);
            if aggregate.unchanged.is_some_and(|expected| expected != head) {
                return Err(CommitError::Conflict);
            }
            state.heads.insert(aggregate.bytes.clone(), version);
            for write in &aggregate.writes {
                let at = (aggregate.bytes.clone(), write.key.clone());
                match &write.put {
                    Some(put) => state.guarded.insert(at, (put.clone(), version)),
                    None => state.guarded.remove(&at),
                };
            }
        }
        for effect in &commit.effects {
            let at = (effect.part.clone(), effect.key.clone());
            match &effect.put {
                Some(put) => state.plain.insert(at, (put.clone(), version)),
                None => state.plain.remove(&at),
            };
        }
        Ok(Committed { version, appended: Vec::new(), settled: true, repeated: false })
    }

    async fn trim(&self, _: &LogRef, _: EntryId) -> Result<(), ReadError> {
        Ok(())
    }

    async fn housekeep(&self, _: Duration) -> Report {
        Report::default()
    }

    async fn close(&self) {}
}
