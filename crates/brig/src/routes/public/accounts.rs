//! The own account.

use public_api::{
    Empty, Failure, Json,
    endpoints::accounts::{ChangeHandle, GetSelf},
    error::users::{INVALID_HANDLE, USER_NOT_FOUND},
    user::SelfProfile,
};
use web::Request;

use crate::{Brig, outlive::to_the_end, rules::handles};

pub(crate) async fn own_profile(brig: Brig, request: Request<GetSelf>) -> Result<Json<SelfProfile>, Failure> {
    let user = request.principal.user;
    let account = brig.account(user).await?.ok_or_else(|| USER_NOT_FOUND.failure())?;
    Ok(Json(brig.own_profile(user, &account)))
}

pub(crate) async fn change_handle(brig: Brig, request: Request<ChangeHandle>) -> Result<Empty<200>, Failure> {
    let handle = handles::takeable(&request.body.handle).ok_or_else(|| INVALID_HANDLE.failure())?;
    to_the_end(async move { brig.change_handle(request.principal.user, &handle).await }).await?;
    Ok(Empty)
}
