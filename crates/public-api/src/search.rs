//! Searching for users (`brig.md` §11).

pub use federation_api::{Contact, UserTypeFilter};
use types::{Domain, SearchPolicy};

use crate::{
    Shape,
    parts::{Bounded, CommaSeparated, query},
    shape::shape,
};

query! {
    /// A search.
    pub struct SearchQuery {
        /// A handle, or words of a name.
        pub q: String,
        /// Where to search; the own backend by default.
        pub domain?: Domain,
        /// Most hits; 15 by default.
        pub size?: Bounded<1, 500>,
        /// Which accounts are wanted; none named means any.
        pub r#type?: CommaSeparated<UserTypeFilter>,
    }
}

impl SearchQuery {
    /// Most hits where the caller does not say.
    pub const DEFAULT_SIZE: u32 = 15;

    /// Most hits.
    pub fn size(&self) -> u32 {
        self.size.map_or(Self::DEFAULT_SIZE, |size| size.0)
    }

    /// Which accounts are wanted; empty means any.
    pub fn types(&self) -> &[UserTypeFilter] {
        self.r#type.as_ref().map_or(&[], |types| &types.0)
    }
}

shape! {
    /// What a search found.
    pub struct SearchResult {
        /// How many there are.
        pub found: i64,
        /// How many of them are here.
        pub returned: i64,
        /// How long it took, in milliseconds.
        pub took: i64,
        /// The hits, best first.
        pub documents: Vec<Contact>,
        /// What the searched backend let the caller search by.
        pub search_policy: SearchPolicy,
        /// Where the next page begins.
        pub paging_state?: String,
        /// Whether there is a next page.
        pub has_more?: bool,
    }
}

impl Shape for SearchResult {}
