//! Unique names: handles, e-mail keys, issuers.
//!
//! A claim is an aggregate of its own that says who has the name. *It binds only while its owner's row names it*: two
//! aggregates are never written at once, so the owner's row decides, and a claim left behind by a crash binds nobody.

use std::future::Future;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use types::Timestamp;

use crate::{
    Aggregate, Catalogue, Cell, Commit, CommitError, Corrupt, Declared, Guarded, Key, Life, ReadError, Reason, Row,
    Rows, Size, Store, Value, View, limits,
};

/// How to see whether an owner's row names a text.
pub trait Names: Send + Sync {
    /// Whether a guarded row of this owner names the text.
    fn names(&self, owner: &Rows, text: &str) -> impl Future<Output = Result<bool, ReadError>> + Send;
}

/// A kind of unique name, whose owners are aggregates named by ids of type `I`.
#[derive(Clone, Copy, Debug)]
pub struct ClaimKind<I, N> {
    aggregate: Aggregate<String>,
    row: Guarded<(), ClaimRow<I>>,
    owners: Aggregate<I>,
    names: N,
}

impl<I, N> ClaimKind<I, N> {
    /// Declares a kind of name. The tag is one of aggregates and one of guarded tables.
    pub const fn new(tag: u16, name: &'static str, owners: Aggregate<I>, names: N) -> Self {
        let aggregate = Aggregate::new(tag, name, Life::Kept);
        Self { aggregate, row: Guarded::new(tag, name, &aggregate, Size::Row), owners, names }
    }

    /// The tag.
    pub const fn tag(&self) -> u16 {
        self.aggregate.tag()
    }
}

impl<I: Owner, N> Declared for ClaimKind<I, N> {
    fn declare(&self, tables: &mut Catalogue) {
        self.aggregate.declare(tables);
        self.row.declare(tables);
    }
}

/// What can own a name: an id that can be stored and compared.
pub trait Owner: Clone + Key + Serialize + DeserializeOwned + PartialEq + Send + Sync {}

impl<I: Clone + Key + Serialize + DeserializeOwned + PartialEq + Send + Sync> Owner for I {}

/// The row of a claim.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ClaimRow<I> {
    owner: I,
    /// When it was taken, microseconds since 1970.
    at: i64,
    /// Given up by its owner.
    #[serde(default)]
    free: bool,
}

impl<I: Serialize + DeserializeOwned> Value for ClaimRow<I> {
    fn to_cell(&self) -> Cell {
        Cell::json(self)
    }

    fn from_cell(cell: &Cell) -> Result<Self, Corrupt> {
        cell.parse()
    }
}

/// Why a name was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// The claim, or the touch of its former owner, could not be committed. Never an unknown outcome.
    #[error(transparent)]
    Commit(CommitError),
    /// Others were at it each time.
    #[error("others are taking the name at the same time")]
    Contended,
    /// A row could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another has it, or is just taking it.
    #[error("the name is taken")]
    Taken,
}

/// One name.
#[derive(Debug)]
pub struct Claim<'a, I, N> {
    store: &'a Store,
    kind: &'a ClaimKind<I, N>,
    text: String,
}

impl Store {
    /// One name of a kind. The text is compared as it stands: fold it before.
    pub fn claim<'a, I, N>(&'a self, kind: &'a ClaimKind<I, N>, text: impl Into<String>) -> Claim<'a, I, N> {
        Claim { store: self, kind, text: text.into() }
    }
}

impl<I: Owner, N: Names> Claim<'_, I, N> {
    /// Who has the name: the owner that the claim shows, if his row names it.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn owner(&self) -> Result<Option<I>, ReadError> {
        let row = self.store.peek(self.kind.aggregate.of(&self.text)).get(&self.kind.row, &()).await?;
        let Some(owner) = row.map(|row| row.value.owner) else { return Ok(None) };
        let rows = self.store.peek(self.kind.owners.of(&owner));
        Ok(self.kind.names.names(&rows, &self.text).await?.then_some(owner))
    }

    /// Takes the name for the aggregate that `mine` is a view of.
    ///
    /// The order is what makes it safe: open the own aggregate, take, then commit [on](Commit::on) that same view a
    /// row that names the text. A rival who finds the claim unnamed for [`limits::CLAIM_GRACE`] touches the own
    /// aggregate before he takes the claim over, and so makes that commit a `Conflict`; two owners never name it.
    ///
    /// # Errors
    /// See [`TakeError`].
    pub async fn take(&self, mine: &View) -> Result<(), TakeError> {
        if mine.aggregate().tag != self.kind.owners.tag() {
            return Err(ReadError::Refused(Reason::ForeignTable(self.kind.aggregate.name())).into());
        }
        let me: I = mine.aggregate().id().map_err(|_| corrupt(mine))?;
        for attempt in 1..=limits::CLAIM_TRIES {
            match self.attempt(&me).await {
                Err(TakeError::Commit(CommitError::Conflict)) => {}
                // A claim that no row names binds nobody, and a touch changes nothing: whatever became of them, nothing
                // has happened.
                Err(TakeError::Commit(CommitError::OutcomeUnknown { .. })) => {
                    return Err(TakeError::Commit(CommitError::unavailable()));
                }
                outcome => return outcome,
            }
            if attempt < limits::CLAIM_TRIES {
                self.store.pause(attempt).await;
            }
        }
        Err(TakeError::Contended)
    }

    /// Gives the name up, after the own row names another. At best effort: forgetting it harms nobody.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn leave(&self, me: &I) -> Result<(), CommitError> {
        for attempt in 1..=limits::CLAIM_TRIES {
            let (name, row) = self.read().await?;
            let Some(row) = row.map(|row| row.value).filter(|row| row.owner == *me && !row.free) else { return Ok(()) };
            let mut commit = Commit::on(&name);
            commit.put(&self.kind.row, &(), &ClaimRow { free: true, ..row });
            match self.store.commit_surely(commit).await {
                Err(CommitError::Conflict) if attempt < limits::CLAIM_TRIES => self.store.pause(attempt).await,
                outcome => return outcome,
            }
        }
        Err(CommitError::Conflict)
    }

    async fn read(&self) -> Result<(View, Option<Row<ClaimRow<I>>>), ReadError> {
        let name = self.store.view(self.kind.aggregate.of(&self.text)).await?;
        let row = name.get(&self.kind.row, &()).await?;
        Ok((name, row))
    }

    async fn attempt(&self, me: &I) -> Result<(), TakeError> {
        let (name, row) = self.read().await?;
        if let Some(row) = row.map(|row| row.value).filter(|row| row.owner != *me) {
            self.evict(&row).await?;
        }
        let mut commit = Commit::on(&name);
        let row = ClaimRow { owner: me.clone(), at: self.store.clock().now().micros(), free: false };
        commit.put(&self.kind.row, &(), &row);
        self.store.commit_surely(commit).await.map_err(TakeError::Commit)
    }

    /// Makes sure that the former owner does not name the text and that no commit of his under way will.
    async fn evict(&self, row: &ClaimRow<I>) -> Result<(), TakeError> {
        let owner = self.store.view(self.kind.owners.of(&row.owner)).await?;
        if self.kind.names.names(&owner, &self.text).await? {
            return Err(TakeError::Taken);
        }
        let young = self.store.clock().now().since(Timestamp::from_micros(row.at)) < limits::CLAIM_GRACE;
        if !row.free && young {
            return Err(TakeError::Taken);
        }
        self.store.commit_surely(Commit::on(&owner)).await.map_err(TakeError::Commit)
    }
}

fn corrupt(view: &View) -> ReadError {
    let aggregate = view.aggregate();
    ReadError::Corrupt { table: aggregate.kind, key: crate::key::show(&aggregate.bytes) }
}
