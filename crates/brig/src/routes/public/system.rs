//! What the backend says about itself.

use public_api::{DEVELOPMENT, Failure, Json, SUPPORTED, Version, endpoints::system::GetVersion, system::VersionInfo};
use web::Request;

use crate::Brig;

pub(crate) async fn version(brig: Brig, _: Request<GetVersion>) -> Result<Json<VersionInfo>, Failure> {
    let disabled = &brig.settings().disabled_api_versions;
    let enabled = |number: &u16| !disabled.contains(&Version(*number));
    Ok(Json(VersionInfo {
        supported: SUPPORTED.filter(enabled).collect(),
        development: [DEVELOPMENT.0].into_iter().filter(enabled).collect(),
        federation: brig.federation().enabled(),
        domain: brig.domain().clone(),
    }))
}
