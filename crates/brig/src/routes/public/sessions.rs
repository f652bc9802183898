//! Logging in, renewing, logging out.

use http::HeaderValue;
use public_api::{
    Empty, Failure, Json, WithCookie,
    access::{Authorization, COOKIE, Presented},
    auth::{AccessToken, TokenType},
    endpoints::auth::{Access, Login, Logout},
    error::auth::{BAD_CREDENTIALS, MISSING_TOKEN},
    text::Secret,
};
use web::Request;
use zauth::cookie::set_cookie;

use crate::{
    Brig,
    rules::{
        access::{self, Refused},
        cookies::CookieKind,
    },
    sessions::{Credentials, Session},
};

pub(crate) async fn login(brig: Brig, request: Request<Login>) -> Result<WithCookie<Json<AccessToken>>, Failure> {
    let body = request.body;
    let credentials = Credentials {
        id: body.id().ok_or_else(|| BAD_CREDENTIALS.failure())?,
        password: body.password.expose().to_owned().into(),
        label: body.label.map(|label| label.as_str().to_owned()),
        kind: if request.query.persist == Some(true) { CookieKind::Persistent } else { CookieKind::Session },
    };
    let session = brig.login(credentials).await?;
    Ok(answer(&brig, &session))
}

pub(crate) async fn access(brig: Brig, request: Request<Access>) -> Result<WithCookie<Json<AccessToken>>, Failure> {
    let presented = sort(&request.principal, request.query.access_token.as_ref())?;
    let session = brig.renew(&presented, request.query.client_id).await?;
    Ok(answer(&brig, &session))
}

pub(crate) async fn logout(brig: Brig, request: Request<Logout>) -> Result<Empty<200>, Failure> {
    let presented = sort(&request.principal, request.query.access_token.as_ref())?;
    if presented.token.is_none() {
        return Err(MISSING_TOKEN.failure());
    }
    brig.logout(&presented).await?;
    Ok(Empty)
}

/// The token of the header counts before the one in the query.
fn sort(presented: &Presented, query: Option<&Secret>) -> Result<access::Presented, Refused> {
    let cookies = || presented.cookies.iter().map(String::as_str);
    match (&presented.authorization, query) {
        (Authorization::Bearer(token), _) => access::sort(cookies(), Some(token)),
        (Authorization::Absent, Some(token)) => access::sort(cookies(), Some(token.expose())),
        (Authorization::Absent, None) => access::sort(cookies(), None),
        // A cookie that is none is the first thing to be told.
        (Authorization::Other, _) => match access::sort(cookies(), None) {
            Err(Refused::Malformed) => Err(Refused::Malformed),
            _ => Err(Refused::Scheme),
        },
    }
}

fn answer(brig: &Brig, session: &Session) -> WithCookie<Json<AccessToken>> {
    let set_cookie = session.cookie.as_ref().and_then(|(token, kind)| {
        let secure = !brig.settings().cookie_insecure;
        HeaderValue::try_from(set_cookie(COOKIE, token, *kind == CookieKind::Persistent, secure)).ok()
    });
    let token = AccessToken {
        user: session.user,
        access_token: Secret::from(session.access.as_str().to_owned()),
        token_type: TokenType::Bearer,
        expires_in: i64::try_from(brig.settings().access_token_timeout.as_secs()).unwrap_or(i64::MAX),
    };
    WithCookie { answer: Json(token), set_cookie }
}
