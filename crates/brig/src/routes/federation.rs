//! What other backends may ask (`federation.md` §6.3). The federator has checked who asks and whether it is allowed at
//! all; what each RPC allows beyond that is decided here.

use federation_api::{
    SearchResponse, UserProfile, VersionInfo,
    brig::{ApiVersion, GetUserByHandle, GetUsersByIds, SearchUsers},
};
use public_api::{Failure, error::common};
use types::SearchPolicy;
use web::RpcRequest;

use crate::{
    Brig, directory, limits,
    rules::{
        folding,
        search::{Scope, Search, inbound_policy, wanted},
    },
};

pub(super) async fn api_version(_: Brig, _: RpcRequest<ApiVersion>) -> Result<VersionInfo, Failure> {
    Ok(VersionInfo::own())
}

pub(super) async fn get_user_by_handle(
    brig: Brig,
    request: RpcRequest<GetUserByHandle>,
) -> Result<Option<UserProfile>, Failure> {
    if brig.policy().search_policy(&request.origin) == SearchPolicy::NoSearch {
        return Ok(None);
    }
    let found = brig.by_handle(&request.body).await?;
    Ok(found.and_then(|(id, account)| brig.profile(id, &account)))
}

pub(super) async fn get_users_by_ids(
    brig: Brig,
    request: RpcRequest<GetUsersByIds>,
) -> Result<Vec<UserProfile>, Failure> {
    if request.body.len() > limits::REMOTE_PROFILES {
        return Err(common::BAD_REQUEST.because(format!("at most {} ids at once", limits::REMOTE_PROFILES)));
    }
    Ok(brig.profiles(&request.body).await?)
}

/// Exact handle first, then by name as far as the policy for the origin goes.
pub(super) async fn search_users(brig: Brig, request: RpcRequest<SearchUsers>) -> Result<SearchResponse, Failure> {
    let asked = request.body;
    let search_policy = inbound_policy(&brig.policy(), &request.origin, asked.from);
    let nobody = asked.only_in_teams.as_ref().is_some_and(Vec::is_empty);
    if nobody || search_policy == SearchPolicy::NoSearch {
        return Ok(SearchResponse { contacts: Vec::new(), search_policy });
    }
    let teams = asked.only_in_teams.as_deref();
    let exact = brig.exact_handle(&asked.term).await?.filter(|found| {
        let team_fits = teams.is_none_or(|teams| found.team.is_some_and(|team| teams.contains(&team)));
        team_fits && wanted(asked.types.as_deref(), found.user_type)
    });
    let mut found = Vec::new();
    if search_policy == SearchPolicy::FullSearch {
        let search = Search {
            words: folding::words(&asked.term),
            scope: Scope::Federated(asked.only_in_teams),
            searcher: None,
            types: asked.types,
        };
        found = brig.search(&search, limits::REMOTE_SEARCH_RESULTS).await?;
    }
    let mut contacts = directory::exact_first(exact, found);
    contacts.truncate(limits::REMOTE_SEARCH_RESULTS);
    Ok(SearchResponse { contacts, search_policy })
}
