//! Tables, declared as constants beside the rules that use them, and the references made from them.

use std::{fmt, hash, marker::PhantomData, time::Duration};

use bytes::Bytes;

use crate::{
    error::Corrupt,
    key::{self, Key},
};

/// Tags from here on are the store's own, as 0 is.
pub(crate) const OWN_TAGS: u16 = 0xff00;

const fn check_tag(tag: u16) {
    assert!(tag != 0 && tag < OWN_TAGS, "tag 0 and those from 0xff00 on are the store's own");
}

/// How long an aggregate lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its rows expire by this age at the latest, and the whole of it is forgotten some days later: one-time codes,
    /// nonces, budgets.
    Ephemeral(Duration),
    /// For ever.
    Kept,
}

/// How large the values of a guarded table may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Up to [`limits::LARGE_VALUE`](crate::limits::LARGE_VALUE), not counted among the bytes of rows of a commit.
    Large,
    /// Up to [`limits::VALUE`](crate::limits::VALUE).
    Row,
}

/// A kind of aggregate, named by ids of type `I`.
///
/// Tags are numbers from 1 to 0xfeff, unique among aggregates, and never used again for something else. The same holds for
/// guarded tables, plain tables and logs, each among themselves.
pub struct Aggregate<I> {
    tag: u16,
    name: &'static str,
    life: Life,
    id: PhantomData<fn() -> I>,
}

impl<I> Aggregate<I> {
    /// Declares a kind of aggregate.
    pub const fn new(tag: u16, name: &'static str, life: Life) -> Self {
        check_tag(tag);
        Self::own(tag, name, life)
    }

    /// As [`new`](Self::new), with a tag of the store's own.
    pub(crate) const fn own(tag: u16, name: &'static str, life: Life) -> Self {
        Self { tag, name, life, id: PhantomData }
    }

    /// The tag.
    pub const fn tag(&self) -> u16 {
        self.tag
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How long its aggregates live.
    pub const fn life(&self) -> Life {
        self.life
    }
}

impl<I: Key> Aggregate<I> {
    /// The aggregate with that id.
    pub fn of(&self, id: &I) -> AggRef {
        AggRef { tag: self.tag, kind: self.name, life: self.life, bytes: key::tagged(self.tag, id).into() }
    }
}

/// One aggregate.
#[derive(Clone, PartialEq, Eq)]
pub struct AggRef {
    pub(crate) tag: u16,
    pub(crate) kind: &'static str,
    pub(crate) life: Life,
    pub(crate) bytes: Bytes,
}

impl AggRef {
    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its id.
    ///
    /// # Errors
    /// [`Corrupt`] when its kind is named by ids of another type.
    pub fn id<I: Key>(&self) -> Result<I, Corrupt> {
        key::untagged(&self.bytes)
    }
}

impl fmt::Debug for AggRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, key::show(&self.bytes))
    }
}

impl hash::Hash for AggRef {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

/// A table of guarded rows: part of one kind of aggregate, written by its commits alone.
pub struct Guarded<K, V> {
    pub(crate) tag: u16,
    pub(crate) name: &'static str,
    pub(crate) of: u16,
    pub(crate) size: Size,
    row: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Guarded<K, V> {
    /// Declares a table in aggregates of that kind.
    pub const fn new<I>(tag: u16, name: &'static str, of: &Aggregate<I>, size: Size) -> Self {
        check_tag(tag);
        Self::own(tag, name, of, size)
    }

    /// As [`new`](Self::new), with a tag of the store's own.
    pub(crate) const fn own<I>(tag: u16, name: &'static str, of: &Aggregate<I>, size: Size) -> Self {
        Self { tag, name, of: of.tag, size, row: PhantomData }
    }

    /// The tag.
    pub const fn tag(&self) -> u16 {
        self.tag
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// Says of which types the rows of a table are, without holding any.
type RowOf<P, K, V> = PhantomData<fn() -> (P, K, V)>;

/// A table of plain rows beside the aggregates: lists, indexes, caches. Partition `P`, key `K` within it.
pub struct Plain<P, K, V> {
    pub(crate) tag: u16,
    pub(crate) name: &'static str,
    row: RowOf<P, K, V>,
}

impl<P, K, V> Plain<P, K, V> {
    /// Declares a table.
    pub const fn new(tag: u16, name: &'static str) -> Self {
        check_tag(tag);
        Self::own(tag, name)
    }

    /// As [`new`](Self::new), with a tag of the store's own.
    pub(crate) const fn own(tag: u16, name: &'static str) -> Self {
        Self { tag, name, row: PhantomData }
    }

    /// The tag.
    pub const fn tag(&self) -> u16 {
        self.tag
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// A kind of log, each named by an id of type `I`.
pub struct LogKind<I> {
    tag: u16,
    name: &'static str,
    ttl: Option<Duration>,
    memory: Duration,
    bucket: Duration,
    id: PhantomData<fn() -> I>,
}

impl<I> LogKind<I> {
    /// Declares a kind of log. Entries expire after `ttl`; for `memory` beyond that a reader is told that he lost
    /// some. `bucket` is the time that distributed engines keep in one partition.
    pub const fn new(tag: u16, name: &'static str, ttl: Option<Duration>, memory: Duration, bucket: Duration) -> Self {
        check_tag(tag);
        Self::own(tag, name, ttl, memory, bucket)
    }

    /// As [`new`](Self::new), with a tag of the store's own.
    pub(crate) const fn own(
        tag: u16,
        name: &'static str,
        ttl: Option<Duration>,
        memory: Duration,
        bucket: Duration,
    ) -> Self {
        Self { tag, name, ttl, memory, bucket, id: PhantomData }
    }

    /// The tag.
    pub const fn tag(&self) -> u16 {
        self.tag
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How long its entries live.
    pub const fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// For how long a reader is told beyond that.
    pub const fn memory(&self) -> Duration {
        self.memory
    }
}

impl<I: Key> LogKind<I> {
    /// The log with that id.
    pub fn of(&self, id: &I) -> LogRef {
        LogRef {
            tag: self.tag,
            kind: self.name,
            ttl: self.ttl,
            memory: self.memory,
            bucket: self.bucket,
            bytes: key::tagged(self.tag, id).into(),
        }
    }
}

/// One log.
#[derive(Clone)]
pub struct LogRef {
    pub(crate) tag: u16,
    pub(crate) kind: &'static str,
    pub(crate) ttl: Option<Duration>,
    pub(crate) memory: Duration,
    pub(crate) bucket: Duration,
    pub(crate) bytes: Bytes,
}

impl LogRef {
    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The time that distributed engines keep in one partition.
    pub fn bucket(&self) -> Duration {
        self.bucket
    }

    /// Its id.
    ///
    /// # Errors
    /// [`Corrupt`] when its kind is named by ids of another type.
    pub fn id<I: Key>(&self) -> Result<I, Corrupt> {
        key::untagged(&self.bytes)
    }
}

impl PartialEq for LogRef {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for LogRef {}

impl hash::Hash for LogRef {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for LogRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, key::show(&self.bytes))
    }
}

macro_rules! copied {
    ($($name:ident<$($param:ident),*>)*) => {$(
        // Derived, these would ask the same of the parameters, which are never held.
        impl<$($param),*> Clone for $name<$($param),*> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($param),*> Copy for $name<$($param),*> {}

        impl<$($param),*> fmt::Debug for $name<$($param),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", self.name, self.tag)
            }
        }
    )*};
}
copied! { Aggregate<I> Guarded<K, V> Plain<P, K, V> LogKind<I> }
