//! What cargohold answers: assets (`federation.md` §6.5).

use crate::{
    VersionRange,
    asset::{self, AssetSource, GetAssetResponse},
    declare::rpcs,
};

const ALL: VersionRange = VersionRange::ALL;

rpcs! { Cargohold:
    /// Whether an asset can be had, asked before a client's download begins, so that a refusal can still become an
    /// answer of its own. The receiver checks the token, unless the asset is public or the user owns it.
    GetAsset = "get-asset" ALL, Call (asset::GetAsset) -> GetAssetResponse;

    /// An asset's bytes, as `application/octet-stream`; 404 if it cannot be had. No version is negotiated. The
    /// receiver checks again what `get-asset` checks.
    StreamAsset = "stream-asset" ALL, Stream (asset::GetAsset) -> AssetSource;
}
