//! Prekeys: what a stranger needs to begin a Proteus session.

use serde::{Deserialize, Serialize};
use types::{ClientId, UserId};

use crate::client::UserClientMap;

/// A prekey as its client uploaded it. Nobody but clients looks inside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UncheckedPrekeyBundle {
    /// Its number; 65535 is the last resort, which is handed out again and again.
    pub id: u16,
    /// Base64 of Proteus' own form.
    pub key: String,
}

/// A prekey of one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPrekey {
    /// Whose it is.
    pub client: ClientId,
    /// The prekey.
    pub prekey: UncheckedPrekeyBundle,
}

/// A prekey of each client of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrekeyBundle {
    /// The user.
    pub user: UserId,
    /// One prekey for each client that has one.
    pub clients: Vec<ClientPrekey>,
}

/// The prekeys claimed for some clients; `None` where a client is gone or has none.
pub type UserClientPrekeyMap = UserClientMap<Option<UncheckedPrekeyBundle>>;
