//! What brig answers: accounts and search (`federation.md` §6.3).
//!
//! Ids without a domain belong to the origin where they are the caller's and to the receiver otherwise.

use types::{Handle, UserId};

use crate::{
    Unit, VersionInfo, VersionRange,
    declare::rpcs,
    search::{SearchRequest, SearchResponse},
    user::UserProfile,
};

const ALL: VersionRange = VersionRange::ALL;

rpcs! { Brig:
    /// Which versions the backend speaks. Asked before anything else and without a version header; anybody who
    /// passes the federator may ask.
    ApiVersion = "api-version" ALL, Call (Unit) -> VersionInfo;

    /// The user of that handle, for a client that opens `@handle@domain`. The receiver answers `null` unless its
    /// search policy for the origin allows at least exact handles.
    GetUserByHandle = "get-user-by-handle" ALL, Call (Handle) -> Option<UserProfile>;

    /// Profiles by id: for profile pages and lists, and to learn a user's team before a connection. Unknown ids are
    /// left out; deleted users come with `deleted`. The receiver checks nothing more.
    GetUsersByIds = "get-users-by-ids" ALL, Call (Vec<UserId>) -> Vec<UserProfile>;

    /// A search in the receiver's directory. The receiver applies its search policy for the origin, its team
    /// restriction to the searcher's team, and `onlyInTeams` to what it found.
    SearchUsers = "search-users" ALL, Call (SearchRequest) -> SearchResponse;
}
