//! Searching a remote backend's directory.

use serde::{Deserialize, Serialize};
use types::{Qualified, SearchPolicy, TeamId, UserId};

use crate::{encoding::also_writes, user::UserType};

/// What is searched for. The one request whose fields are camelCase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchRequest {
    /// A handle, or words of a name.
    pub term: String,
    /// The searcher's team, to be judged by the receiver's restriction for the origin.
    pub from: Option<TeamId>,
    /// The receiver's teams that the caller may deal with; `None` means any, an empty list none.
    pub only_in_teams: Option<Vec<TeamId>>,
    /// Which accounts are wanted; `None` and an empty list mean any.
    pub types: Option<Vec<UserTypeFilter>>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchResponse {
    /// The hits, best first.
    pub contacts: Vec<Contact>,
    /// What the receiver let the caller search by.
    pub search_policy: SearchPolicy,
}

/// A user found by searching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Contact {
    /// Who it is. Written once more, unqualified, as `id`.
    pub qualified_id: Qualified<UserId>,
    /// Display name.
    pub name: String,
    /// Accent colour, an index into the clients' palette.
    pub accent_id: Option<i64>,
    /// Unique name, as the directory holds it.
    pub handle: Option<String>,
    /// The team.
    pub team: Option<TeamId>,
    /// Person, app or bot.
    #[serde(rename = "type")]
    pub user_type: UserType,
}

also_writes!(Contact { id: UserId = |this| this.qualified_id.id });

/// Which accounts a search is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserTypeFilter {
    /// Programs that belong to teams.
    App,
    /// People.
    Regular,
}
