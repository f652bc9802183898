//! All RPCs as data.

use std::sync::LazyLock;

use crate::{RpcInfo, brig, cargohold, galley};

static RPCS: LazyLock<Vec<RpcInfo>> = LazyLock::new(|| [brig::RPCS, cargohold::RPCS, galley::RPCS].concat());

/// Every RPC there is, from the declarations in [`brig`], [`cargohold`] and [`galley`]. A name with several shapes
/// stands here once for each, with disjoint version ranges.
pub fn rpcs() -> &'static [RpcInfo] {
    &RPCS
}
