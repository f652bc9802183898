//! Connections between users of two backends.

use serde::{Deserialize, Serialize};
use types::{TeamId, UserId};

use crate::{list::Chunk, sum::sum};

/// A step of one user towards another, told to the other's backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewConnectionRequest {
    /// Who acts; a user of the origin.
    pub from: UserId,
    /// His team, for the receiver's restriction.
    pub from_team: Option<TeamId>,
    /// Whom it concerns; a user of the receiver.
    pub to: UserId,
    /// What he does.
    pub action: RemoteConnectionAction,
}

/// The two steps that travel; blocking and ignoring stay at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RemoteConnectionAction {
    /// Asks for the connection, or accepts it.
    RemoteConnect,
    /// Takes the request back.
    RemoteRescind,
}

sum! {
    /// What the receiver makes of the step.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum NewConnectionResponse {
        /// The receiver's restriction does not let that team connect.
        NotFederating = "NewConnectionResponseNotFederating",
        /// Taken note of. The action is the receiver's reaction, to be applied as if it had been sent.
        Ok(Option<RemoteConnectionAction>) = "NewConnectionResponseOk",
        /// The receiver has no such user who is activated.
        UserNotActivated = "NewConnectionResponseUserNotActivated",
    }
}

/// A user is gone; those connected with him are to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDeletedConnectionsNotification {
    /// The user, of the origin.
    pub user: UserId,
    /// Users of the receiver.
    pub connections: Chunk<UserId>,
}
