//! Logging in and access tokens (`brig.md` §6).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use types::{ClientId, Handle, UserId};

use crate::{
    Shape,
    email::EmailAddress,
    parts::query,
    schema::enumeration,
    shape::shape,
    text::{CookieLabel, PlainTextPassword6, Secret, VerificationCode},
};

shape! {
    /// Who wants to log in. An address counts even where a handle stands beside it.
    #[serde(remote = "Self")]
    pub struct Login {
        /// E-mail address.
        pub email?: EmailAddress,
        /// Handle.
        pub handle?: Handle,
        /// Password.
        pub password: PlainTextPassword6,
        /// Label of the cookie; others with the same label end.
        pub label: Option<CookieLabel> = default,
        /// The second factor.
        pub verification_code: Option<VerificationCode> = default,
    }
}

impl Shape for Login {}

/// How a user names himself when he logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginId {
    /// By his e-mail address.
    Email(EmailAddress),
    /// By his handle.
    Handle(Handle),
}

impl Login {
    /// How the user names himself; one of the two is always there.
    pub fn id(&self) -> Option<LoginId> {
        let email = self.email.clone().map(LoginId::Email);
        email.or_else(|| self.handle.clone().map(LoginId::Handle))
    }
}

impl Serialize for Login {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Login::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Login {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut login = Login::deserialize(deserializer)?;
        match (&login.email, &login.handle) {
            (None, None) => return Err(D::Error::custom("'email' or 'handle' required")),
            (Some(_), _) => login.handle = None,
            (None, Some(_)) => {}
        }
        Ok(login)
    }
}

shape! {
    /// An access token.
    pub struct AccessToken {
        /// Whose it is.
        pub user: UserId,
        /// The token; clients read some of its fields (`brig.md` §6.1).
        pub access_token: Secret,
        /// How it is presented.
        pub token_type: TokenType,
        /// How long it is valid, in seconds.
        pub expires_in: i64,
    }
}

impl Shape for AccessToken {}

enumeration! {
    /// How an access token is presented.
    pub enum TokenType {
        /// In the header `Authorization: Bearer …`.
        Bearer = "Bearer",
    }
}

query! {
    /// How long the cookie of a login shall live.
    pub struct LoginQuery {
        /// Whether it outlives the browser; otherwise it is a session cookie, which is the default.
        pub persist?: bool,
    }
}

query! {
    /// What may accompany a cookie at `/access`.
    pub struct AccessQuery {
        /// Binds the cookie to this client.
        pub client_id?: ClientId,
        /// The previous access token, where it cannot stand in a header.
        pub access_token?: Secret,
    }
}

query! {
    /// What may accompany a cookie at `/access/logout`.
    pub struct LogoutQuery {
        /// The access token, where it cannot stand in a header.
        pub access_token?: Secret,
    }
}
