//! The list of remote backends (`federation.md` §4.1).

use public_api::{
    Failure, Json, Unit,
    endpoints::remotes::{
        AddFederationRemote, AddFederationRemoteTeam, DeleteFederationRemote, DeleteFederationRemoteTeam,
        GetFederationRemoteTeams, GetFederationRemotes, UpdateFederationRemote,
    },
    remotes::{FederationDomainConfigs, FederationRemoteTeam},
};
use web::Request;

use crate::Brig;

pub(crate) async fn list(
    brig: Brig,
    _: Request<GetFederationRemotes>,
) -> Result<Json<FederationDomainConfigs>, Failure> {
    Ok(Json(FederationDomainConfigs::from(&*brig.policy())))
}

pub(crate) async fn add(brig: Brig, request: Request<AddFederationRemote>) -> Result<Json<Unit>, Failure> {
    brig.remotes().add(request.body).await?;
    Ok(Json(Unit))
}

pub(crate) async fn update(brig: Brig, request: Request<UpdateFederationRemote>) -> Result<Json<Unit>, Failure> {
    brig.remotes().update(request.path.0, request.body).await?;
    Ok(Json(Unit))
}

pub(crate) async fn remove(brig: Brig, request: Request<DeleteFederationRemote>) -> Result<Json<Unit>, Failure> {
    brig.remotes().remove(request.path.0).await?;
    Ok(Json(Unit))
}

pub(crate) async fn teams(
    brig: Brig,
    request: Request<GetFederationRemoteTeams>,
) -> Result<Json<Vec<FederationRemoteTeam>>, Failure> {
    let teams = brig.remotes().teams(&request.path.0);
    Ok(Json(teams.into_iter().map(|team_id| FederationRemoteTeam { team_id }).collect()))
}

pub(crate) async fn add_team(brig: Brig, request: Request<AddFederationRemoteTeam>) -> Result<Json<Unit>, Failure> {
    brig.remotes().add_team(request.path.0, request.body.team_id).await?;
    Ok(Json(Unit))
}

pub(crate) async fn remove_team(
    brig: Brig,
    request: Request<DeleteFederationRemoteTeam>,
) -> Result<Json<Unit>, Failure> {
    let (domain, team) = request.path;
    brig.remotes().remove_team(domain, team).await?;
    Ok(Json(Unit))
}
