//! The cookie `zuid`, whose value is a user token.

use types::Timestamp;

use crate::{Expiry, SignedToken};

/// Its name.
pub const NAME: &str = "zuid";
/// The only paths it is sent to.
pub const PATH: &str = "/access";

/// The value of `Set-Cookie`: `zuid=…; Path=/access; [Expires=…; ]HttpOnly[; Secure]`.
///
/// A persistent cookie lives as long as its token; one without `Expires` ends with the browser's session. There is no
/// `Domain`, so it goes back to the host that set it and to no other.
pub fn set_cookie(token: &SignedToken, persistent: bool, secure: bool) -> String {
    let mut text = format!("{NAME}={}; Path={PATH}", token.as_str());
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

/// The values of all cookies of this name in one `Cookie` header, in order. There may be several: one for each path
/// or host that once set it.
pub fn values(header: &str) -> impl Iterator<Item = &str> {
    header.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        (name.trim_end() == NAME).then_some(value)
    })
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
            set_cookie(&token, true, true),
            format!("zuid={value}; Path=/access; Expires=Fri, 24-Jun-2016 12:21:45 GMT; HttpOnly; Secure")
        );
        assert_eq!(set_cookie(&token, false, true), format!("zuid={value}; Path=/access; HttpOnly; Secure"));
        assert_eq!(set_cookie(&token, false, false), format!("zuid={value}; Path=/access; HttpOnly"));
    }

    #[test]
    fn parsing() {
        for (header, expected) in [
            ("zuid=a", vec!["a"]),
            ("zuid=a==.v=1; other=x;zuid=b", vec!["a==.v=1", "b"]),
            (" zuid = \"a\" ; xzuid=c; zuidx=d; zuid", vec!["a"]),
            ("ZUID=a", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(values(header).collect::<Vec<_>>(), expected, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_set_is_read_back(expires in 0i64..=4_000_000_000, persistent: bool, secure: bool) {
            let token = token(Expiry::At(expires));
            let set = set_cookie(&token, persistent, secure);
            let sent = set.split(';').next().unwrap();
            let header = format!("a=b; {sent}");
            proptest::prop_assert_eq!(values(&header).collect::<Vec<_>>(), vec![token.as_str()]);
        }

        #[test]
        fn any_header_is_survived(header in ".*") {
            let _ = values(&header).count();
        }

        #[test]
        fn any_moment_has_a_date(seconds: i64) {
            let _ = date(Timestamp::from_seconds(seconds));
        }
    }
}
