//! The cookie whose value is a user token.

use types::Timestamp;

use crate::{Expiry, SignedToken};

/// The only paths it is sent to.
pub const PATH: &str = "/access";

/// The value of `Set-Cookie` for a cookie of that name: `NAME=…; Path=/access; [Expires=…; ]HttpOnly[; Secure]`.
///
/// A persistent cookie lives as long as its token; one without `Expires` ends with the browser's session. There is no
/// `Domain`, so it goes back to the host that set it and to no other.
pub fn set_cookie(name: &str, token: &SignedToken, persistent: bool, secure: bool) -> String {
    let mut text = format!("{name}={}; Path={PATH}", token.as_str());
    if let (true, Expiry::At(seconds)) = (persistent, token.expires()) {
        text.push_str("; Expires=");
        text.push_str(&date(Timestamp::from_seconds(seconds)));
    }
    text.push_str("; HttpOnly");
    if secure {
        text.push_str("; Secure");
    }
    text
}

/// The older cookie date with hyphens (RFC 6265 §5.1.1 reads it), which Wire's clients are used to.
fn date(moment: Timestamp) -> String {
    let moment = jiff::Timestamp::from_second(moment.seconds()).unwrap_or(jiff::Timestamp::MAX);
    moment.strftime("%a, %d-%b-%Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use types::{SeededRng, UserId};

    use super::*;
    use crate::{Body, Keyring, Token, User};

    fn token(expires: Expiry) -> SignedToken {
        let user = User { user: UserId(uuid::Uuid::nil()), rand: 255, client: None };
        Keyring::generate(&SeededRng::new(1)).signer.sign(Token { expires, body: Body::User(user) })
    }

    #[test]
    fn rendering() {
        let token = token(Expiry::At(1_466_770_905));
        let value = token.as_str();
        assert_eq!(
            set_cookie("zuid", &token, true, true),
            format!("zuid={value}; Path=/access; Expires=Fri, 24-Jun-2016 12:21:45 GMT; HttpOnly; Secure")
        );
        assert_eq!(set_cookie("zuid", &token, false, true), format!("zuid={value}; Path=/access; HttpOnly; Secure"));
        assert_eq!(set_cookie("zuid", &token, false, false), format!("zuid={value}; Path=/access; HttpOnly"));
    }

    proptest::proptest! {
        #[test]
        fn any_moment_has_a_date(seconds: i64) {
            let _ = date(Timestamp::from_seconds(seconds));
        }
    }
}
