//! What brig answers: parse, call, answer. The rules are elsewhere.

mod federation;
mod internal;
mod public;

use public_api::endpoints::{accounts, auth, remotes, system, users};
use web::{Routes, RpcRoutes, Served};

use crate::Brig;

/// What accompanies a request when it crosses to another backend.
fn context(meta: &web::Meta) -> services::CallContext {
    services::CallContext { request_id: meta.request_id.clone(), client_ip: meta.client_ip, trace: meta.trace.clone() }
}

/// The endpoints for clients and for the internal listener.
pub(crate) fn served(brig: Brig) -> Served {
    Routes::new(brig)
        .serve::<accounts::ChangeHandle, _>(public::accounts::change_handle)
        .serve::<accounts::CreateUserNoVerify, _>(internal::users::create)
        .serve::<accounts::GetSelf, _>(public::accounts::own_profile)
        .serve::<accounts::GetUserActivationCode, _>(internal::users::activation_code)
        .serve::<auth::Access, _>(public::sessions::access)
        .serve::<auth::Login, _>(public::sessions::login)
        .serve::<auth::Logout, _>(public::sessions::logout)
        .serve::<remotes::AddFederationRemote, _>(internal::remotes::add)
        .serve::<remotes::AddFederationRemoteTeam, _>(internal::remotes::add_team)
        .serve::<remotes::DeleteFederationRemote, _>(internal::remotes::remove)
        .serve::<remotes::DeleteFederationRemoteTeam, _>(internal::remotes::remove_team)
        .serve::<remotes::GetFederationRemoteTeams, _>(internal::remotes::teams)
        .serve::<remotes::GetFederationRemotes, _>(internal::remotes::list)
        .serve::<remotes::UpdateFederationRemote, _>(internal::remotes::update)
        .serve::<system::GetVersion, _>(public::system::version)
        .serve::<users::GetUserByHandle, _>(public::users::by_handle)
        .serve::<users::GetUserQualified, _>(public::users::by_id)
        .serve::<users::ListUsers, _>(public::users::list)
        .serve::<users::SearchContacts, _>(public::search::contacts)
        .done()
}

/// The RPCs for other backends.
pub(crate) fn rpcs() -> RpcRoutes<Brig> {
    use federation_api::brig as rpc;

    RpcRoutes::new(federation_api::Component::Brig)
        .serve::<rpc::ApiVersion, _>(federation::api_version)
        .serve::<rpc::GetUserByHandle, _>(federation::get_user_by_handle)
        .serve::<rpc::GetUsersByIds, _>(federation::get_users_by_ids)
        .serve::<rpc::SearchUsers, _>(federation::search_users)
}
