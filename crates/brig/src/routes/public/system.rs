//! What the backend says about itself.

use public_api::{Failure, Json, endpoints::system::GetVersion, system::VersionInfo};
use web::Request;

use crate::Brig;

pub(crate) async fn version(brig: Brig, _: Request<GetVersion>) -> Result<Json<VersionInfo>, Failure> {
    let disabled = &brig.settings().disabled_api_versions;
    let own = brig.domain().clone();
    Ok(Json(VersionInfo::new(own, brig.federation().enabled(), |version| disabled.contains(&version))))
}
