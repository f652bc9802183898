//! The list of remote backends (`federation.md` §4.1).

use types::{Domain, FederationDomainConfig, TeamId};

use crate::{
    Json, Unit,
    access::Internal,
    error::federation::FEDERATION_UNEXPECTED_WAI_ERROR,
    remotes::{FederationDomainConfigs, FederationRemoteTeam},
};

endpoints! {
    Brig;

    /// Adds a remote. The same once more is no error.
    AddFederationRemote "add-federation-remotes" = POST "/i/federation/remotes" [0..] {
        auth: Internal,
        body: Json<FederationDomainConfig>,
        answer: Json<Unit>,
        errors: [FEDERATION_UNEXPECTED_WAI_ERROR],
    }

    /// The strategy and all remotes, those of the configuration file included.
    GetFederationRemotes "get-federation-remotes" = GET "/i/federation/remotes" [0..] {
        auth: Internal,
        answer: Json<FederationDomainConfigs>,
    }

    /// Changes a remote.
    UpdateFederationRemote "update-federation-remotes" = PUT "/i/federation/remotes/{domain}" [0..] {
        auth: Internal,
        path: (Domain,),
        body: Json<FederationDomainConfig>,
        answer: Json<Unit>,
        errors: [FEDERATION_UNEXPECTED_WAI_ERROR],
    }

    /// Removes a remote. One that is not there is no error. wire-server cannot do this.
    DeleteFederationRemote "delete-federation-remotes" = DELETE "/i/federation/remotes/{domain}" [0..] {
        auth: Internal,
        path: (Domain,),
        answer: Json<Unit>,
        errors: [FEDERATION_UNEXPECTED_WAI_ERROR],
    }

    /// Lets a team deal with a remote that is restricted to teams.
    AddFederationRemoteTeam "add-federation-remote-team" = POST "/i/federation/remotes/{domain}/teams" [0..] {
        auth: Internal,
        path: (Domain,),
        body: Json<FederationRemoteTeam>,
        answer: Json<Unit>,
        errors: [FEDERATION_UNEXPECTED_WAI_ERROR],
    }

    /// The teams that may deal with a remote.
    GetFederationRemoteTeams "get-federation-remote-teams" = GET "/i/federation/remotes/{domain}/teams" [0..] {
        auth: Internal,
        path: (Domain,),
        answer: Json<Vec<FederationRemoteTeam>>,
        errors: [FEDERATION_UNEXPECTED_WAI_ERROR],
    }

    /// Forbids a team to deal with a remote.
    DeleteFederationRemoteTeam "delete-federation-remote-team" =
        DELETE "/i/federation/remotes/{domain}/teams/{team}" [0..] {
        auth: Internal,
        path: (Domain, TeamId),
        answer: Json<Unit>,
        errors: [FEDERATION_UNEXPECTED_WAI_ERROR],
    }
}
