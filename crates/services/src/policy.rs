//! Where the federator learns whom to deal with.

use std::sync::Arc;

use types::FederationPolicy;

/// Hands out the policy of this moment. Asked on every call in both directions, so it answers from memory; a change
/// counts from the next call on.
pub trait PolicySource: Send + Sync {
    /// The policy now.
    fn policy(&self) -> Arc<FederationPolicy>;

    /// Whether there is a policy at all. Where it comes from another process that was never reached, there is none yet:
    /// then nobody is allowed, and calls in both directions are 500 `server-error` instead of 400 `federation-denied`,
    /// which would be taken for somebody's decision.
    fn is_known(&self) -> bool {
        true
    }
}

/// A policy that never changes.
#[derive(Clone, Debug, Default)]
pub struct FixedPolicy(pub Arc<FederationPolicy>);

impl PolicySource for FixedPolicy {
    fn policy(&self) -> Arc<FederationPolicy> {
        Arc::clone(&self.0)
    }
}
