//! What brig answers: accounts, clients, connections and search (`federation.md` §6.3).
//!
//! Ids without a domain belong to the origin where they are the caller's and to the receiver otherwise. Beyond what
//! the descriptions say, a receiver checks the caller's identity and its own allow list, as for every RPC.

use std::collections::BTreeSet;

use types::{ClientId, Handle, UserId};

use crate::{
    EmptyResponse, Unit, VersionInfo, VersionRange,
    backends::{DomainSet, NonConnectedBackends},
    client::{
        self, ClientInfo, MLSClientRequest, MLSClientsRequest, MLSClientsRequestV0, PubClient, UserClients, UserMap,
    },
    connection::{NewConnectionRequest, NewConnectionResponse, UserDeletedConnectionsNotification},
    declare::rpcs,
    mls::{ClaimKeyPackageRequest, KeyPackageBundle},
    prekey::{ClientPrekey, PrekeyBundle, UserClientPrekeyMap},
    search::{SearchRequest, SearchResponse},
    user::UserProfile,
};

const ALL: VersionRange = VersionRange::ALL;

rpcs! { Brig:
    /// Which versions the backend speaks. Asked before anything else and without a version header; anybody who
    /// passes the federator may ask.
    ApiVersion = "api-version" ALL, Call (Unit) -> VersionInfo;

    /// One key package of each client of a user, asked for when one of the origin's users adds him to a group.
    /// `null` if the receiver does not speak MLS or cannot hand any out. The caller checks each key package.
    ClaimKeyPackages = "claim-key-packages" ALL, Call (ClaimKeyPackageRequest) -> Option<KeyPackageBundle>;

    /// A prekey of each of some clients of some users, asked for when a message to many begins sessions. Clients
    /// without a prekey come with `null`.
    ClaimMultiPrekeyBundle = "claim-multi-prekey-bundle" ALL, Call (UserClients) -> UserClientPrekeyMap;

    /// A prekey of one client, asked for when a client begins a session. `null` if there is none. It is used up,
    /// unless it is the last resort.
    ClaimPrekey = "claim-prekey" ALL, Call ((UserId, ClientId)) -> Option<ClientPrekey>;

    /// A prekey of each client of a user, asked for when a client begins sessions with all of them.
    ClaimPrekeyBundle = "claim-prekey-bundle" ALL, Call (UserId) -> PrekeyBundle;

    /// What one client can do in MLS, asked by the owner of a conversation while it judges a commit. A peer that
    /// does not know this yet is asked for all clients of the user.
    GetMlsClient = "get-mls-client" VersionRange::from(3), Call (MLSClientRequest) -> ClientInfo;

    /// What the clients of a user can do in MLS, asked by the owner of a conversation while it judges a commit.
    GetMlsClients = "get-mls-clients" VersionRange::from(1), Call (MLSClientsRequest) -> BTreeSet<ClientInfo>;

    /// The same for a signature scheme instead of a cipher suite.
    GetMlsClientsV0 = "get-mls-clients" VersionRange::until(1), Call (MLSClientsRequestV0) -> BTreeSet<ClientInfo>;

    /// Those of some backends that the receiver does not federate with, asked before a conversation brings them
    /// together. A receiver that allows everybody answers with none.
    GetNotFullyConnectedBackends = "get-not-fully-connected-backends" ALL, Call (DomainSet) -> NonConnectedBackends;

    /// The clients of some users, asked before a message is sent to them and for a client's list of devices.
    /// Unknown users come with an empty list.
    GetUserClients = "get-user-clients" ALL, Call (client::GetUserClients) -> UserMap<BTreeSet<PubClient>>;

    /// The user of that handle, for a client that opens `@handle@domain`. The receiver answers `null` unless its
    /// search policy for the origin allows at least exact handles.
    GetUserByHandle = "get-user-by-handle" ALL, Call (Handle) -> Option<UserProfile>;

    /// Profiles by id: for profile pages and lists, and to learn a user's team before a connection. Unknown ids are
    /// left out; deleted users come with `deleted`. The receiver checks nothing more.
    GetUsersByIds = "get-users-by-ids" ALL, Call (Vec<UserId>) -> Vec<UserProfile>;

    /// A user of the origin is gone. The receiver tells those of its users who are connected with him and removes
    /// the connections. The origin sends as many of these as its chunks need.
    OnUserDeletedConnections = "on-user-deleted-connections" ALL, Notification
        (UserDeletedConnectionsNotification) -> EmptyResponse;

    /// A search in the receiver's directory. The receiver applies its search policy for the origin, its team
    /// restriction to the searcher's team, and `onlyInTeams` to what it found.
    SearchUsers = "search-users" ALL, Call (SearchRequest) -> SearchResponse;

    /// A user asks for a connection, accepts one, or takes his request back. The receiver applies its team
    /// restriction to the user's team and answers with what its own side makes of it.
    SendConnectionAction = "send-connection-action" ALL, Call (NewConnectionRequest) -> NewConnectionResponse;
}
