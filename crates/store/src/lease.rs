//! Leases: work that one process at a time does, such as sending an outbox, with the place it has come to.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    AggRef, Aggregate, Catalogue, Cell, Commit, CommitError, Committed, Corrupt, Declared, Guarded, Key, ReadError,
    Size, Store, Value, Version, limits,
};

/// A kind of lease: a row in the aggregate that has the cursor of the work, so that both are written by one commit.
///
/// Nobody compares wall clocks. Who wants the lease and finds it held waits until he has seen it unchanged for twice its
/// time, by his own monotonic clock; who holds it counts from before he sent the commit that gave it to him, and stops a
/// [deadline](crate::Options::deadline) before its time. If he was paused and sends all the same, that send is his last:
/// with the next move of the cursor he finds that another has the lease.
#[derive(Clone, Copy, Debug)]
pub struct LeaseKind<I> {
    aggregate: Aggregate<I>,
    row: Guarded<(), LeaseRow>,
    ttl: Duration,
}

impl<I> LeaseKind<I> {
    /// Declares a kind of lease in an aggregate. The tag is one of guarded tables.
    pub const fn new(tag: u16, name: &'static str, aggregate: &Aggregate<I>) -> Self {
        Self { aggregate: *aggregate, row: Guarded::new(tag, name, aggregate, Size::Row), ttl: limits::LEASE }
    }

    /// As [`new`](Self::new), with a tag of the store's own.
    pub(crate) const fn own(tag: u16, name: &'static str, aggregate: &Aggregate<I>) -> Self {
        Self { aggregate: *aggregate, row: Guarded::own(tag, name, aggregate, Size::Row), ttl: limits::LEASE }
    }
}

impl<I> Declared for LeaseKind<I> {
    fn declare(&self, tables: &mut Catalogue) {
        self.row.declare(tables);
    }
}

/// The row of a lease. Its version is the fencing number.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LeaseRow {
    holder: Uuid,
    /// The opening of a store that one process has for itself; leases of another opening bind nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opening: Option<Uuid>,
}

impl Value for LeaseRow {
    fn to_cell(&self) -> Cell {
        Cell::json(self)
    }

    fn from_cell(cell: &Cell) -> Result<Self, Corrupt> {
        cell.parse()
    }
}

/// Who wants a lease, and what he has seen of it.
#[derive(Clone, Debug)]
pub struct Contender {
    store: Store,
    aggregate: AggRef,
    row: Guarded<(), LeaseRow>,
    ttl: Duration,
    holder: Uuid,
    /// The holder's version, and since when it has not changed.
    seen: Option<(Version, Instant)>,
}

/// What a look at a lease came to.
#[derive(Debug)]
pub enum Look {
    /// It is ours.
    Held(Held),
    /// Another has it. To look again after that time finds out whether he lives.
    Busy(Duration),
}

/// A lease that is held.
#[derive(Debug)]
pub struct Held {
    contender: Contender,
    version: Version,
    until: Instant,
}

/// Why a lease was not renewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Another has it, or may have: the work is his. Nothing of the commit happened, unless its outcome is unknown.
    #[error("the lease is another's now")]
    Lost,
    /// The commit was not done for another reason, such as a [`Conflict`](CommitError::Conflict) with something else that
    /// it expected. The lease is what it was.
    #[error(transparent)]
    Commit(CommitError),
}

impl Store {
    /// Somebody new who wants a lease.
    pub fn contend<I: Key>(&self, kind: &LeaseKind<I>, id: &I) -> Contender {
        let holder = self.0.rng.uuid();
        Contender {
            store: self.clone(),
            aggregate: kind.aggregate.of(id),
            row: kind.row,
            ttl: kind.ttl,
            holder,
            seen: None,
        }
    }
}

impl Contender {
    /// Takes the lease if nobody has it, or if its holder has not renewed it for twice its time.
    ///
    /// # Errors
    /// See [`ReadError`]. The commit that takes it may fail without one: then it is looked at again.
    pub async fn look(&mut self) -> Result<Look, ReadError> {
        let rows = self.store.peek(self.aggregate.clone());
        let row = rows.get(&self.row, &()).await?;
        let now = self.store.clock().monotonic();
        let expected = match row {
            None => Version::NEVER,
            Some(row) if self.is_void(&row.value) => row.version,
            Some(row) => match self.seen {
                Some((version, since)) if version == row.version => {
                    let dead_at = since + self.ttl * 2;
                    if now < dead_at {
                        return Ok(self.busy(dead_at.saturating_duration_since(now)));
                    }
                    row.version
                }
                _ => {
                    self.seen = Some((row.version, now));
                    let again = self.ttl;
                    return Ok(self.busy(again));
                }
            },
        };
        let began = self.store.clock().monotonic();
        match self.store.commit(self.claim(expected)).await {
            Ok(committed) => {
                self.seen = None;
                Ok(Look::Held(self.held(committed.version, began)))
            }
            // A rival was faster, or nobody knows; if it was done, the next look finds our own row.
            Err(_) => {
                self.seen = None;
                Ok(self.busy(limits::LEASE_RETRY))
            }
        }
    }

    /// Whether a row binds nobody: it is our own of a commit whose outcome we did not hear, or of a process that had the
    /// store for itself and has gone.
    fn is_void(&self, row: &LeaseRow) -> bool {
        let opening = self.store.0.engine.opening();
        row.holder == self.holder || (opening.is_some() && row.opening.is_some() && row.opening != opening)
    }

    /// A commit that makes the lease ours if its row is the expected one.
    fn claim(&self, expected: Version) -> Commit {
        let mut commit = Commit::at(self.aggregate.clone());
        commit.expect(&self.row, &(), expected);
        let opening = self.store.0.engine.opening();
        commit.put(&self.row, &(), &LeaseRow { holder: self.holder, opening });
        commit
    }

    fn busy(&self, again: Duration) -> Look {
        Look::Busy(again.min(self.ttl))
    }

    fn held(&self, version: Version, began: Instant) -> Held {
        Held { contender: self.clone(), version, until: began + self.lasts() }
    }

    /// Gives the lease up if it is this contender's, so that the next one need not wait: also when it was taken or renewed
    /// by a commit whose end nobody waited for.
    ///
    /// # Errors
    /// See [`CommitError`]; the next one waits, and no harm is done.
    pub async fn release(self) -> Result<(), CommitError> {
        for attempt in 1.. {
            let row = self.store.peek(self.aggregate.clone()).get(&self.row, &()).await?;
            let Some(row) = row.filter(|row| row.value.holder == self.holder) else { return Ok(()) };
            let mut commit = Commit::at(self.aggregate.clone());
            commit.expect(&self.row, &(), row.version);
            commit.delete(&self.row, &());
            match self.store.commit(commit).await {
                Err(CommitError::Conflict) if attempt < limits::UPDATE_TRIES => self.store.pause(attempt).await,
                done => return done.map(drop),
            }
        }
        Ok(())
    }

    /// From before the commit was sent until the work has to stop.
    fn lasts(&self) -> Duration {
        self.ttl.saturating_sub(self.store.0.deadline)
    }
}

impl Held {
    /// Whether the work may go on: to be asked before each send.
    pub fn is_held(&self) -> bool {
        self.contender.store.clock().monotonic() < self.until
    }

    /// The fencing number: it rises with each renewal and each holder.
    pub fn fence(&self) -> Version {
        self.version
    }

    /// How long the work may go on.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(self.contender.store.clock().monotonic())
    }

    /// Renews the lease, by one commit with what `also` adds to it: the cursor, and what follows from its move.
    ///
    /// # Errors
    /// See [`LeaseError`]. After [`Lost`](LeaseError::Lost) there is nothing to do but to [contend](Self::contender) anew.
    pub async fn renew(&mut self, also: impl FnOnce(&mut Commit)) -> Result<Committed, LeaseError> {
        let mut commit = self.contender.claim(self.version);
        also(&mut commit);
        let began = self.contender.store.clock().monotonic();
        let committed = match self.contender.store.commit(commit).await {
            Ok(committed) => committed,
            Err(CommitError::Conflict) if self.is_ours().await => {
                return Err(LeaseError::Commit(CommitError::Conflict));
            }
            Err(CommitError::Conflict | CommitError::OutcomeUnknown { .. }) => {
                self.until = began;
                return Err(LeaseError::Lost);
            }
            Err(error) => return Err(LeaseError::Commit(error)),
        };
        self.version = committed.version;
        self.until = began + self.contender.lasts();
        Ok(committed)
    }

    /// Whether the row is still what we wrote, so that a conflict was about something else.
    async fn is_ours(&self) -> bool {
        let Contender { store, aggregate, row, .. } = &self.contender;
        let now = store.peek(aggregate.clone()).get(row, &()).await;
        now.is_ok_and(|row| row.is_some_and(|row| row.version == self.version))
    }

    /// How long until it should be renewed though there is nothing to write: a third of its time after the last commit.
    /// `None` where nobody waits for it to lapse: in
    /// a store that this process has for itself an idle lease costs nothing.
    pub fn renewal(&self) -> Option<Duration> {
        if self.contender.store.0.engine.opening().is_some() {
            return None;
        }
        let then_left = self.contender.lasts().saturating_sub(self.contender.ttl / 3);
        Some(self.left().saturating_sub(then_left))
    }

    /// Who holds it, to want it again after it was lost.
    pub fn contender(&self) -> &Contender {
        &self.contender
    }

    /// Gives the lease up, so that the next one need not wait; see [`Contender::release`].
    ///
    /// # Errors
    /// See [`CommitError`]; the next one waits, and no harm is done.
    pub async fn release(self) -> Result<(), CommitError> {
        self.contender.release().await
    }
}
