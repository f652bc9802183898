//! Other users, and searching for them (`brig.md` §3, §11).

use federation_api::UserProfile;
use types::{Domain, Handle, UserId};

use crate::{
    Json,
    access::UserToken,
    error::users::{HANDLE_NOT_FOUND, INSUFFICIENT_PERMISSIONS, USER_NOT_FOUND},
    search::{SearchQuery, SearchResult},
    user::{ListUsersById, ListUsersQuery},
};

endpoints! {
    Brig;

    /// A user's profile, from whichever backend.
    GetUserQualified "get-user-qualified" = GET "/users/{domain}/{id}" [0..] {
        auth: UserToken,
        path: (Domain, UserId),
        answer: Json<UserProfile>,
        errors: [USER_NOT_FOUND],
    }

    /// Profiles of many users. Before version 4 the answer is a plain list, 404 if nobody was found, and a backend
    /// that cannot be reached is an error.
    ListUsers "list-users-by-ids-or-handles" = POST "/list-users" [0..] {
        auth: UserToken,
        body: Json<ListUsersQuery>,
        answer: Json<ListUsersById>,
        errors: [USER_NOT_FOUND],
    }

    /// The user of that handle.
    GetUserByHandle "get-user-by-handle-qualified" = GET "/users/by-handle/{domain}/{handle}" [0..2] {
        auth: UserToken,
        path: (Domain, Handle),
        answer: Json<UserProfile>,
        errors: [HANDLE_NOT_FOUND],
    }

    /// Searches for users by handle and name.
    SearchContacts "search-contacts" = GET "/search/contacts" [0..] {
        auth: UserToken,
        query: SearchQuery,
        answer: Json<SearchResult>,
        errors: [INSUFFICIENT_PERMISSIONS],
    }
}
