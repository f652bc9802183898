//! Lists whose length is part of their type.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::LengthError;

/// A list of `MIN` to `MAX` elements; the check happens when it is made or read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct Bounded<T, const MIN: usize, const MAX: usize>(Vec<T>);

/// A list with at least one element.
pub type NonEmpty<T> = Bounded<T, 1, { usize::MAX }>;

/// A list of 1 to 1000 elements: what notifications about a deleted user carry at once.
pub type Chunk<T> = Bounded<T, 1, 1000>;

impl<T, const MIN: usize, const MAX: usize> Bounded<T, MIN, MAX> {
    /// Most elements.
    pub const MAX_LEN: usize = MAX;

    /// The elements.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> NonEmpty<T> {
    /// The list of one element.
    pub fn one(element: T) -> Self {
        Self(vec![element])
    }
}

impl<T> Chunk<T> {
    /// Cuts a list into pieces of this length; an empty list gives none.
    pub fn of(all: Vec<T>) -> Vec<Self> {
        let mut pieces = Vec::with_capacity(all.len().div_ceil(Self::MAX_LEN));
        let mut all = all.into_iter().peekable();
        while all.peek().is_some() {
            pieces.push(Self(all.by_ref().take(Self::MAX_LEN).collect()));
        }
        pieces
    }
}

impl<T, const MIN: usize, const MAX: usize> TryFrom<Vec<T>> for Bounded<T, MIN, MAX> {
    type Error = LengthError;

    fn try_from(elements: Vec<T>) -> Result<Self, LengthError> {
        LengthError::check(elements.len(), MIN, MAX)?;
        Ok(Self(elements))
    }
}

impl<T, const MIN: usize, const MAX: usize> Deref for Bounded<T, MIN, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MIN: usize, const MAX: usize> IntoIterator for Bounded<T, MIN, MAX> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
