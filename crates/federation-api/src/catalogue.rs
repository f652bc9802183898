//! All RPCs as data.

use std::sync::LazyLock;

use crate::{Component, DEFAULT_MAX_BODY, RpcInfo, RpcName, brig, cargohold, galley};

static RPCS: LazyLock<Vec<RpcInfo>> = LazyLock::new(|| [brig::RPCS, cargohold::RPCS, galley::RPCS].concat());

/// Every RPC there is, from the declarations in [`brig`], [`cargohold`] and [`galley`]. A name with several shapes
/// stands here once for each, with disjoint version ranges.
pub fn rpcs() -> &'static [RpcInfo] {
    &RPCS
}

/// The largest body in bytes that a request to that RPC may have, in whatever shape it comes; the usual one for names
/// that are none of ours.
pub fn max_body(component: Component, name: &RpcName) -> usize {
    let shapes = rpcs().iter().filter(|rpc| rpc.component == component && rpc.name == name.as_str());
    shapes.map(|rpc| rpc.max_body).max().unwrap_or(DEFAULT_MAX_BODY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn bodies_are_as_large_as_what_clients_send() {
        let of = |component, name: &str| max_body(component, &name.parse().expect("a name"));
        for (name, mib) in [
            ("send-message", 64),
            ("on-message-sent", 64),
            ("send-mls-commit-bundle", 64),
            ("on-mls-message-sent", 64),
            ("mls-welcome", 64),
            ("send-mls-message", 1),
            ("on-conversation-updated", 1),
            ("no-such-rpc", 1),
        ] {
            assert_eq!(of(Component::Galley, name), mib * MIB, "{name}");
        }
        assert_eq!(of(Component::Brig, "send-message"), MIB, "it is galley's");
        assert_eq!(of(Component::Brig, "get-user-by-handle"), MIB);
    }
}
