//! What brig asks other backends. What they answer is believed as far as it concerns their own users and no further.

use std::{collections::BTreeMap, sync::Arc};

use federation_api::{
    SearchRequest, SearchResponse, UserProfile,
    brig::{GetUserByHandle, GetUsersByIds, SearchUsers},
};
use futures_util::{StreamExt as _, stream};
use services::{CallContext, Federation, FederationError};
use types::{Domain, Handle, Qualified, UserId};

use crate::limits;

/// The profiles of users of one backend. Those it does not know are missing.
pub(crate) async fn profiles(
    federation: &Arc<dyn Federation>,
    context: &CallContext,
    domain: &Domain,
    ids: Vec<UserId>,
) -> Result<Vec<UserProfile>, FederationError> {
    let mut found = federation.call::<GetUsersByIds>(context, domain, &ids).await?;
    found.retain(|profile| profile.qualified_id.domain == *domain && ids.contains(&profile.qualified_id.id));
    Ok(found)
}

/// The user of that handle, if there is one and the other backend lets us know.
pub(crate) async fn by_handle(
    federation: &Arc<dyn Federation>,
    context: &CallContext,
    domain: &Domain,
    handle: &Handle,
) -> Result<Option<UserProfile>, FederationError> {
    let found = federation.call::<GetUserByHandle>(context, domain, handle).await?;
    Ok(found.filter(|profile| profile.qualified_id.domain == *domain))
}

/// A search in another backend's directory.
pub(crate) async fn search(
    federation: &Arc<dyn Federation>,
    context: &CallContext,
    domain: &Domain,
    asked: &SearchRequest,
) -> Result<SearchResponse, FederationError> {
    let mut answer = federation.call::<SearchUsers>(context, domain, asked).await?;
    answer.contacts.retain(|contact| contact.qualified_id.domain == *domain);
    Ok(answer)
}

/// Profiles from several backends.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Those that were found.
    pub(crate) found: Vec<UserProfile>,
    /// The users of the backends that did not answer.
    pub(crate) failed: Vec<Qualified<UserId>>,
    /// Why the first of them did not.
    pub(crate) error: Option<FederationError>,
}

/// The profiles of users of any other backends, a call for each backend, some at the same time. One that does not
/// answer spoils nothing but its own part.
pub(crate) async fn profiles_of_many(
    federation: &Arc<dyn Federation>,
    context: &CallContext,
    ids: Vec<Qualified<UserId>>,
) -> Gathered {
    let mut by_domain: BTreeMap<Domain, Vec<UserId>> = BTreeMap::new();
    for Qualified { domain, id } in ids {
        by_domain.entry(domain).or_default().push(id);
    }
    let calls = by_domain.into_iter().map(|(domain, ids)| async move {
        let answer = profiles(federation, context, &domain, ids.clone()).await;
        (domain, ids, answer)
    });
    let answers = stream::iter(calls).buffered(limits::PARALLEL_REMOTES);
    let gathered = answers.fold(Gathered::default(), |mut gathered, (domain, ids, answer)| async move {
        match answer {
            Ok(found) => gathered.found.extend(found),
            Err(error) => {
                tracing::info!(%domain, %error, "profiles of another backend could not be had");
                gathered.failed.extend(ids.into_iter().map(|id| Qualified::new(id, domain.clone())));
                gathered.error.get_or_insert(error);
            }
        }
        gathered
    });
    gathered.await
}
