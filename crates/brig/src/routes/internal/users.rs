//! Accounts, for other components and operators.

use public_api::{
    Created, Failure, Json,
    endpoints::accounts::{CreateUserNoVerify, GetUserActivationCode},
    error::users::ACTIVATION_KEY_NOT_FOUND,
    user::{GetActivationCodeResp, SelfProfile},
};
use web::Request;

use crate::{Brig, outlive::to_the_end};

pub(crate) async fn create(brig: Brig, request: Request<CreateUserNoVerify>) -> Result<Created<SelfProfile>, Failure> {
    let registered = brig.clone();
    let (id, account) = to_the_end(async move { registered.register(request.body).await }).await?;
    Ok(Created { body: brig.own_profile(id, &account), location: Some(id.to_string()) })
}

pub(crate) async fn activation_code(
    brig: Brig,
    request: Request<GetUserActivationCode>,
) -> Result<Json<GetActivationCodeResp>, Failure> {
    let code = brig.activation_code(&request.query.email).await?;
    let code = code.ok_or_else(|| ACTIVATION_KEY_NOT_FOUND.failure())?;
    Ok(Json(GetActivationCodeResp { key: code.key, code: code.code }))
}
