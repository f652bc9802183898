//! Reading rows.

use std::{
    ops::{Bound, Deref, RangeBounds},
    sync::Arc,
};

use bytes::Bytes;
use types::Timestamp;

use crate::{
    AggRef, Guarded, Key, Leads, Plain, ReadError, Reason, Value, Version,
    engine::{RawRow, RowQuery, Space},
    key,
    limits::{self, Limit},
    store::Inner,
};

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dir {
    /// Smallest key first.
    #[default]
    Forward,
    /// Largest key first.
    Reverse,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<V> {
    /// What it holds.
    pub value: V,
    /// The version of the commit that wrote it.
    pub version: Version,
    /// When it expires; from then on it is absent.
    pub expires: Option<Timestamp>,
}

/// Part of a range.
#[derive(Clone, Debug)]
pub struct Page<K, V> {
    /// Rows with their keys, in the order asked for.
    pub rows: Vec<(K, Row<V>)>,
    /// Where the next page goes on: hand it in as `after`. `None` when the range is finished.
    pub next: Option<K>,
}

/// An aggregate that was opened to decide on: what [`Commit::on`](crate::Commit::on) expects unchanged.
///
/// Rows read through it are at least as new as its version. When another commit comes in between they may be newer,
/// and then a commit on this view is a `Conflict`; only a decision *not* to commit may rest on such a mixture.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) rows: Rows,
    pub(crate) version: Version,
}

impl View {
    /// The version of the aggregate when it was opened; [`Version::NEVER`] if nothing was committed to it yet.
    pub fn version(&self) -> Version {
        self.version
    }
}

impl Deref for View {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        &self.rows
    }
}

/// The guarded rows of one aggregate.
#[derive(Clone, Debug)]
pub struct Rows {
    pub(crate) store: Arc<Inner>,
    pub(crate) aggregate: AggRef,
}

impl Rows {
    /// The aggregate.
    pub fn aggregate(&self) -> &AggRef {
        &self.aggregate
    }

    /// The row with that key.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn get<K: Key, V: Value>(&self, table: &Guarded<K, V>, key: &K) -> Result<Option<Row<V>>, ReadError> {
        self.scan(table)?.get(key).await
    }

    /// A page of the rows within bounds: `limit` rows at most (and [`limits::PAGE_ITEMS`], and about
    /// [`limits::PAGE_BYTES`]), behind the key `after`, which a former page gave as `next`. A page may end early: that it
    /// was the last one is known by the absence of `next` alone.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn range<K: Key, V: Value>(
        &self,
        table: &Guarded<K, V>,
        bounds: impl RangeBounds<K> + Send,
        dir: Dir,
        limit: usize,
        after: Option<&K>,
    ) -> Result<Page<K, V>, ReadError> {
        let scan = self.scan(table)?;
        let span = scan.span(bounds, dir, after)?;
        scan.page(span, dir, limit).await
    }

    /// As [`range`](Self::range), over all keys that begin with `prefix`.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn prefix<K: Key, V: Value, P: Leads<K>>(
        &self,
        table: &Guarded<K, V>,
        prefix: &P,
        dir: Dir,
        limit: usize,
        after: Option<&K>,
    ) -> Result<Page<K, V>, ReadError> {
        let scan = self.scan(table)?;
        let span = scan.lead(prefix, dir, after)?;
        scan.page(span, dir, limit).await
    }

    /// All rows of a table in this aggregate, in the order of keys. Aggregates are small: rules about a whole set
    /// ("at most seven clients") read it whole.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn all<K: Key, V: Value>(&self, table: &Guarded<K, V>) -> Result<Vec<(K, Row<V>)>, ReadError> {
        self.scan(table)?.first(usize::MAX).await
    }

    fn scan<K, V>(&self, table: &Guarded<K, V>) -> Result<Scan<'_, K, V>, ReadError> {
        if table.of != self.aggregate.tag {
            return Err(ReadError::Refused(Reason::ForeignTable(table.name)));
        }
        Scan::new(&self.store, table.name, table.tag, Space::Guarded, self.aggregate.bytes.clone())
    }
}

/// The rows of one partition of a plain table.
#[derive(Debug)]
pub struct PlainRows<K, V> {
    store: Arc<Inner>,
    name: &'static str,
    tag: u16,
    part: Bytes,
    row: std::marker::PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> PlainRows<K, V> {
    pub(crate) fn new<P: Key>(store: Arc<Inner>, table: &Plain<P, K, V>, part: &P) -> Self {
        let part = key::tagged(table.tag, part).into();
        Self { store, name: table.name, tag: table.tag, part, row: std::marker::PhantomData }
    }

    /// The row with that key.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn get(&self, key: &K) -> Result<Option<Row<V>>, ReadError> {
        self.scan()?.get(key).await
    }

    /// The first rows in the order of keys, all there are or so many, however many pages that takes.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn first(&self, most: usize) -> Result<Vec<(K, Row<V>)>, ReadError> {
        self.scan()?.first(most).await
    }

    /// A page of the rows within bounds; see [`Rows::range`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn range(
        &self,
        bounds: impl RangeBounds<K> + Send,
        dir: Dir,
        limit: usize,
        after: Option<&K>,
    ) -> Result<Page<K, V>, ReadError> {
        let scan = self.scan()?;
        let span = scan.span(bounds, dir, after)?;
        scan.page(span, dir, limit).await
    }

    /// A page of the rows whose keys begin with `prefix`; see [`Rows::range`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn prefix<P: Leads<K>>(
        &self,
        prefix: &P,
        dir: Dir,
        limit: usize,
        after: Option<&K>,
    ) -> Result<Page<K, V>, ReadError> {
        let scan = self.scan()?;
        let span = scan.lead(prefix, dir, after)?;
        scan.page(span, dir, limit).await
    }

    fn scan(&self) -> Result<Scan<'_, K, V>, ReadError> {
        Scan::new(&self.store, self.name, self.tag, Space::Plain, self.part.clone())
    }
}

/// One table in one aggregate or partition.
struct Scan<'a, K, V> {
    store: &'a Inner,
    table: &'static str,
    tag: u16,
    space: Space,
    part: Bytes,
    row: std::marker::PhantomData<fn() -> (K, V)>,
}

struct Span {
    lower: Bound<Bytes>,
    upper: Bound<Bytes>,
}

impl<'a, K, V> Scan<'a, K, V> {
    fn new(store: &'a Inner, table: &'static str, tag: u16, space: Space, part: Bytes) -> Result<Self, ReadError> {
        if part.len() > limits::NAME + 2 {
            return Err(ReadError::TooLarge { what: Limit::Name });
        }
        Ok(Self { store, table, tag, space, part, row: std::marker::PhantomData })
    }
}

impl<K: Key, V: Value> Scan<'_, K, V> {
    async fn get(&self, key: &K) -> Result<Option<Row<V>>, ReadError> {
        let key = self.key(key)?;
        let span = Span { lower: Bound::Included(key.clone()), upper: Bound::Included(key) };
        let page = self.page(span, Dir::Forward, 1).await?;
        Ok(page.rows.into_iter().next().map(|(_, row)| row))
    }

    /// Page by page, because a page may end early.
    async fn first(&self, most: usize) -> Result<Vec<(K, Row<V>)>, ReadError> {
        let (mut rows, mut after) = (Vec::new(), None);
        while rows.len() < most {
            let span = self.span(.., Dir::Forward, after.as_ref())?;
            let page = self.page(span, Dir::Forward, most - rows.len()).await?;
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(rows)
    }

    fn key<Q: Key>(&self, key: &Q) -> Result<Bytes, ReadError> {
        let bytes = key::tagged(self.tag, key);
        if bytes.len() > limits::KEY + 2 {
            return Err(ReadError::TooLarge { what: Limit::Key });
        }
        Ok(bytes.into())
    }

    fn span(&self, bounds: impl RangeBounds<K>, dir: Dir, after: Option<&K>) -> Result<Span, ReadError> {
        let lower = match bounds.start_bound() {
            Bound::Included(key) => Bound::Included(self.key(key)?),
            Bound::Excluded(key) => Bound::Excluded(self.key(key)?),
            Bound::Unbounded => Bound::Included(Bytes::copy_from_slice(&self.tag.to_be_bytes())),
        };
        let upper = match bounds.end_bound() {
            Bound::Included(key) => Bound::Included(self.key(key)?),
            Bound::Excluded(key) => Bound::Excluded(self.key(key)?),
            Bound::Unbounded => successor(&self.tag.to_be_bytes()),
        };
        self.behind(Span { lower, upper }, dir, after)
    }

    fn lead<P: Key>(&self, prefix: &P, dir: Dir, after: Option<&K>) -> Result<Span, ReadError> {
        let prefix = self.key(prefix)?;
        let span = Span { upper: successor(&prefix), lower: Bound::Included(prefix) };
        self.behind(span, dir, after)
    }

    /// The part of the span behind `after`.
    fn behind(&self, mut span: Span, dir: Dir, after: Option<&K>) -> Result<Span, ReadError> {
        let Some(after) = after else { return Ok(span) };
        let after = self.key(after)?;
        let inside = |bound: &Bound<Bytes>, keep: fn(&Bytes, &Bytes) -> bool| match bound {
            Bound::Included(b) | Bound::Excluded(b) => keep(&after, b),
            Bound::Unbounded => true,
        };
        match dir {
            Dir::Forward if inside(&span.lower, |a, b| a >= b) => span.lower = Bound::Excluded(after),
            Dir::Reverse if inside(&span.upper, |a, b| a <= b) => span.upper = Bound::Excluded(after),
            Dir::Forward | Dir::Reverse => {}
        }
        Ok(span)
    }

    async fn page(&self, span: Span, dir: Dir, limit: usize) -> Result<Page<K, V>, ReadError> {
        let query = RowQuery {
            table: self.table,
            space: self.space,
            part: self.part.clone(),
            lower: span.lower,
            upper: span.upper,
            dir,
            items: limit.clamp(1, limits::PAGE_ITEMS),
            bytes: limits::PAGE_BYTES,
            now: self.store.clock.now(),
        };
        let page = self.store.engine.rows(&query).await?;
        let more = page.more;
        let rows = page.rows.iter().map(|raw| self.decode(raw)).collect::<Result<Vec<_>, _>>()?;
        let next = match page.rows.last() {
            Some(last) if more => Some(self.decode_key(&last.key)?),
            _ => None,
        };
        Ok(Page { rows, next })
    }

    fn decode(&self, raw: &RawRow) -> Result<(K, Row<V>), ReadError> {
        let value = V::from_cell(&raw.cell).map_err(|_| self.corrupt(&raw.key))?;
        Ok((self.decode_key(&raw.key)?, Row { value, version: raw.version, expires: raw.expires }))
    }

    fn decode_key(&self, bytes: &[u8]) -> Result<K, ReadError> {
        key::untagged(bytes).map_err(|_| self.corrupt(bytes))
    }

    fn corrupt(&self, bytes: &[u8]) -> ReadError {
        ReadError::Corrupt { table: self.table, key: key::show(bytes) }
    }
}

/// Just above everything that begins with these bytes.
fn successor(prefix: &[u8]) -> Bound<Bytes> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return Bound::Excluded(bytes.into());
        }
    }
    Bound::Unbounded
}
