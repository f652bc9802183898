//! Searching for users.

use std::time::Duration;

use federation_api::SearchRequest;
use public_api::{
    Failure, Json,
    endpoints::users::SearchContacts,
    error::users::INSUFFICIENT_PERMISSIONS,
    search::{Contact, SearchResult},
    user::AccountStatus,
};
use types::SearchPolicy;
use web::Request;

use crate::{
    Account, Brig, directory, limits, remote,
    routes::context,
    rules::{
        folding,
        search::{Scope, Search, only_in_teams, wanted},
    },
};

pub(crate) async fn contacts(brig: Brig, request: Request<SearchContacts>) -> Result<Json<SearchResult>, Failure> {
    let begun = brig.clock().monotonic();
    let searcher = brig.account(request.principal.user).await?;
    let searcher = searcher.filter(|account| account.status_at(brig.clock().now()) == AccountStatus::Active);
    let searcher = searcher.ok_or_else(|| INSUFFICIENT_PERMISSIONS.failure())?;
    let size = usize::try_from(request.query.size()).unwrap_or(limits::SEARCH_RESULTS);
    let (mut documents, search_policy) = match &request.query.domain {
        Some(domain) if domain != brig.domain() => {
            let types = request.query.types();
            let asked = SearchRequest {
                term: request.query.q.clone(),
                from: searcher.team,
                only_in_teams: only_in_teams(&brig.policy(), domain),
                types: (!types.is_empty()).then(|| types.to_vec()),
            };
            let answer = remote::search(brig.federation(), &context(&request.meta), domain, &asked).await?;
            (answer.contacts, answer.search_policy)
        }
        _ => (here(&brig, &request, &searcher, size).await?, SearchPolicy::FullSearch),
    };
    let found = documents.len();
    documents.truncate(size);
    let took = brig.clock().monotonic().saturating_duration_since(begun);
    Ok(Json(result(found, documents, search_policy, took)))
}

/// The exact handle, read from the account itself and therefore never stale, then by name: all that were found, which
/// may be more than are wanted.
async fn here(
    brig: &Brig,
    request: &Request<SearchContacts>,
    searcher: &Account,
    size: usize,
) -> Result<Vec<Contact>, Failure> {
    let (term, types) = (&request.query.q, request.query.types());
    let same_team_only = brig.settings().search_same_team_only;
    let exact = brig.exact_handle(term).await?.filter(|found| {
        let team_fits = !same_team_only || found.team == searcher.team;
        team_fits && wanted(Some(types), found.user_type)
    });
    let search = Search {
        words: folding::words(term),
        scope: match searcher.team {
            None => Scope::NoTeam,
            Some(team) if same_team_only => Scope::OwnTeam(team),
            Some(team) => Scope::Standard(team),
        },
        searcher: Some(request.principal.user),
        types: Some(types.to_vec()),
    };
    Ok(directory::exact_first(exact, brig.search(&search, size).await?))
}

fn result(found: usize, documents: Vec<Contact>, search_policy: SearchPolicy, took: Duration) -> SearchResult {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    SearchResult {
        found: count(found),
        returned: count(documents.len()),
        took: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        documents,
        search_policy,
        paging_state: None,
        has_more: None,
    }
}
