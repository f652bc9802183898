//! Profiles of users here and elsewhere.

use public_api::{
    Failure, Json, UserProfile, Version,
    endpoints::users::{GetUserByHandle, GetUserQualified, ListUsers},
    error::users::{HANDLE_NOT_FOUND, USER_NOT_FOUND},
    user::{ListUsersById, ListUsersQuery},
};
use web::Request;

use crate::{Brig, remote, routes::context};

/// From this version on, a backend that cannot be reached does not spoil a list.
const PARTIAL_LISTS: Version = Version(4);

pub(crate) async fn by_id(brig: Brig, request: Request<GetUserQualified>) -> Result<Json<UserProfile>, Failure> {
    let (domain, id) = request.path;
    let found = if domain == *brig.domain() {
        brig.profiles(&[id]).await?
    } else {
        remote::profiles(brig.federation(), &context(&request.meta), &domain, &vec![id]).await?
    };
    found.into_iter().next().map(Json).ok_or_else(|| USER_NOT_FOUND.failure())
}

pub(crate) async fn by_handle(brig: Brig, request: Request<GetUserByHandle>) -> Result<Json<UserProfile>, Failure> {
    let (domain, handle) = request.path;
    let found = if domain == *brig.domain() {
        let found = brig.by_handle(&handle).await?;
        found.and_then(|(id, account)| brig.profile(id, &account))
    } else {
        remote::by_handle(brig.federation(), &context(&request.meta), &domain, &handle).await?
    };
    found.map(Json).ok_or_else(|| HANDLE_NOT_FOUND.failure())
}

pub(crate) async fn list(brig: Brig, request: Request<ListUsers>) -> Result<Json<ListUsersById>, Failure> {
    let listed = match request.body {
        ListUsersQuery::ByHandles(handles) => {
            // Handles of other backends are passed over in silence, as wire-server does.
            let mut found = Vec::new();
            for handle in handles.into_iter().filter(|handle| handle.domain == *brig.domain()) {
                if let Some((id, account)) = brig.by_handle(&handle.id).await? {
                    found.extend(brig.profile(id, &account));
                }
            }
            ListUsersById { found, failed: None }
        }
        ListUsersQuery::ByIds(ids) => {
            let (own, others): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id.domain == *brig.domain());
            let own: Vec<_> = own.into_iter().map(|id| id.id).collect();
            let mut found = brig.profiles(&own).await?;
            let (context, bounds) = (context(&request.meta), remote::Bounds::default());
            let elsewhere = remote::profiles_of_many(brig.federation(), &context, others, bounds).await;
            found.extend(elsewhere.found);
            if let Some(error) = elsewhere.error.filter(|_| request.version < PARTIAL_LISTS) {
                return Err(error.into());
            }
            let failed = Some(elsewhere.failed).filter(|failed| !failed.is_empty());
            ListUsersById { found, failed }
        }
    };
    if request.version < PARTIAL_LISTS && listed.found.is_empty() {
        return Err(USER_NOT_FOUND.failure());
    }
    Ok(Json(listed))
}
