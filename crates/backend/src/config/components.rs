//! A federator that runs outside this process, as a backend knows it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use types::AddressBlock;

use super::{ConfigError, HostPort};

/// An outside federator: calls to other backends go out by it, and it brings theirs. Then this process has neither an
/// ingress nor certificates of its own, and of `[federation]` only what concerns the policy counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    /// Where calls to other backends go: `ferrule federator`'s `outward.listen`, or `federatorInternal` of wire-server's.
    pub federator: HostPort,
    /// Where that federator brings the calls for brig. It also asks here for the policy.
    pub listen: SocketAddr,
    /// Where it comes from: addresses, or blocks of them such as `10.0.0.0/8`. Whoever calls from there is believed when
    /// he says which backend he speaks for; nobody else is answered.
    pub federators: Vec<AddressBlock>,
}

impl Components {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.federators.is_empty() {
            let problem = "list the addresses that the federator comes from; without any nobody is answered".to_owned();
            return Err(ConfigError::Contradiction { option: "components.federators", problem });
        }
        Ok(())
    }
}
