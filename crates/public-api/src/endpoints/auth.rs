//! Logging in and renewing access tokens (`brig.md` §6).

use crate::{
    Empty, Json, WithCookie,
    access::{Anyone, Cookie},
    auth::{AccessQuery, AccessToken, Login as LoginBody, LoginQuery, LogoutQuery},
    error::auth::*,
    limits,
};

endpoints! {
    Brig;

    /// Logs in: a cookie and a first access token.
    Login "login" = POST "/login" [0..] {
        auth: Anyone,
        query: LoginQuery,
        body: Json<LoginBody>,
        max_body: limits::LOGIN_BODY,
        answer: WithCookie<Json<AccessToken>>,
        errors: [
            BAD_CREDENTIALS, ACCOUNT_SUSPENDED, ACCOUNT_PENDING, ACCOUNT_EPHEMERAL, CODE_AUTHENTICATION_FAILED,
            CODE_AUTHENTICATION_REQUIRED, TOO_MANY_FAILED_LOGINS, LOGINS_TOO_FREQUENT, RATE_LIMIT_EXCEEDED,
        ],
    }

    /// Makes an access token out of a cookie. The previous access token may be presented as well.
    Access "access" = POST "/access" [0..] {
        auth: Cookie,
        query: AccessQuery,
        answer: WithCookie<Json<AccessToken>>,
        errors: [
            MISSING_COOKIE, MISSING_COOKIE_AND_TOKEN, TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_FALSIFIED, TOKEN_MISMATCH,
            MALFORMED_TOKEN, INVALID_AUTHORIZATION_SCHEME,
        ],
    }

    /// Logs out: the cookie ends. Cookie and access token are both needed.
    Logout "logout" = POST "/access/logout" [0..] {
        auth: Cookie,
        query: LogoutQuery,
        answer: Empty<200>,
        errors: [
            MISSING_COOKIE, MISSING_TOKEN, MISSING_COOKIE_AND_TOKEN, TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_FALSIFIED,
            TOKEN_MISMATCH, MALFORMED_TOKEN, INVALID_AUTHORIZATION_SCHEME,
        ],
    }
}
