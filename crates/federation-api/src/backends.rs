//! Sets of backends: who knows whom, and who cannot be reached.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::Domain;

/// Some backends.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DomainSet {
    /// Their domains.
    pub domains: BTreeSet<Domain>,
}

/// Those of the backends asked about that the receiver does not federate with.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NonConnectedBackends {
    /// Their domains.
    pub non_connected_backends: BTreeSet<Domain>,
}

/// Two backends in one conversation do not federate with each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonFederatingBackends {
    /// The two.
    pub non_federating_backends: [Domain; 2],
}

/// Backends that had to be asked did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreachableBackends {
    /// Their domains.
    pub unreachable_backends: Vec<Domain>,
}
