//! Where the federator learns whom to deal with.

use std::sync::Arc;

use types::FederationPolicy;

/// Hands out the policy of this moment. Asked on every call in both directions, so it answers from memory; a change
/// counts from the next call on.
pub trait PolicySource: Send + Sync {
    /// The policy now.
    fn policy(&self) -> Arc<FederationPolicy>;
}

/// A policy that never changes.
#[derive(Clone, Debug, Default)]
pub struct FixedPolicy(pub Arc<FederationPolicy>);

impl PolicySource for FixedPolicy {
    fn policy(&self) -> Arc<FederationPolicy> {
        Arc::clone(&self.0)
    }
}
