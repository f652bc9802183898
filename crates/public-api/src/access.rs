//! Who may call an endpoint, and what a handler learns about the caller.
//!
//! The edge checks tokens and writes what it found into headers; components believe those headers, which is why
//! nothing but the edge and the internal listener can reach them (`brig.md` §1, "Identity headers"). The principal is
//! a value that a handler is given, so a handler cannot forget the check.

use std::{net::IpAddr, str::FromStr};

use http::{HeaderMap, HeaderName, header};
use types::{ClientId, UserId};

use crate::{LimitClass, Rejection, limits};

/// The user of the token: `Z-User`.
pub const Z_USER: HeaderName = HeaderName::from_static("z-user");
/// The client (device) that the token is bound to, if any: `Z-Client`.
pub const Z_CLIENT: HeaderName = HeaderName::from_static("z-client");
/// The connection, a decimal number chosen at login: `Z-Connection`.
pub const Z_CONNECTION: HeaderName = HeaderName::from_static("z-connection");
/// What kind of token it was: `Z-Type`, one of `access`, `user`, `bot`, `provider`.
pub const Z_TYPE: HeaderName = HeaderName::from_static("z-type");
/// Header prefix of everything that the edge asserts; what comes from outside with it is removed.
pub const Z_PREFIX: &str = "z-";
/// The client's address, exactly one: `X-Forwarded-For`, written by the edge.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The name of the cookie that renews access tokens.
pub const COOKIE: &str = "zuid";

/// Who may call, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// Everybody.
    Anyone,
    /// Whoever presents a `zuid` cookie.
    Cookie,
    /// Other components and operators, by the internal listener.
    Internal,
    /// Whoever presents an access token.
    User,
}

/// Who may call.
pub trait Access: 'static {
    /// What a handler learns about the caller.
    type Principal: Send + 'static;
    /// The kind, as data.
    const KIND: AccessKind;
    /// The budget that requests count against where the endpoint says nothing else.
    const LIMIT: LimitClass;

    /// Reads the principal from what the edge wrote.
    ///
    /// # Errors
    /// A header is missing or unreadable: 400 in plain text.
    fn principal(headers: &HeaderMap) -> Result<Self::Principal, Rejection>;
}

/// Everybody may call.
#[derive(Clone, Copy, Debug)]
pub struct Anyone;

impl Access for Anyone {
    type Principal = ();
    const KIND: AccessKind = AccessKind::Anyone;
    const LIMIT: LimitClass = LimitClass::Address;

    fn principal(_: &HeaderMap) -> Result<(), Rejection> {
        Ok(())
    }
}

/// Other components and operators may call.
#[derive(Clone, Copy, Debug)]
pub struct Internal;

impl Access for Internal {
    type Principal = ();
    const KIND: AccessKind = AccessKind::Internal;
    const LIMIT: LimitClass = LimitClass::Unlimited;

    fn principal(_: &HeaderMap) -> Result<(), Rejection> {
        Ok(())
    }
}

/// Whoever has an access token may call.
#[derive(Clone, Copy, Debug)]
pub struct UserToken;

/// A user, as the access token names him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Authed {
    /// The user.
    pub user: UserId,
    /// The client (device) that the token is bound to, if it is bound.
    pub client: Option<ClientId>,
    /// The connection: events that this request causes are not sent to it.
    pub connection: Option<u64>,
}

impl Access for UserToken {
    type Principal = Authed;
    const KIND: AccessKind = AccessKind::User;
    const LIMIT: LimitClass = LimitClass::User;

    fn principal(headers: &HeaderMap) -> Result<Authed, Rejection> {
        let user = read(headers, &Z_USER)?.ok_or_else(|| Rejection::missing_header(&Z_USER))?;
        Ok(Authed { user, client: read(headers, &Z_CLIENT)?, connection: read(headers, &Z_CONNECTION)? })
    }
}

/// Whoever has a cookie may call. What is presented is judged by the handler, since each fault has an error of its
/// own (`brig.md` §6.4).
#[derive(Clone, Copy, Debug)]
pub struct Cookie;

/// What was presented to renew an access token. Nothing in it has been checked. No `Debug`: these are secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented {
    /// The values of all `zuid` cookies, in order.
    pub cookies: Vec<String>,
    /// The `Authorization` header.
    pub authorization: Authorization,
}

/// An `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// There is none.
    Absent,
    /// A bearer token.
    Bearer(String),
    /// Another scheme.
    Other,
}

impl Access for Cookie {
    type Principal = Presented;
    const KIND: AccessKind = AccessKind::Cookie;
    const LIMIT: LimitClass = LimitClass::Unlimited;

    fn principal(headers: &HeaderMap) -> Result<Presented, Rejection> {
        Ok(Presented { cookies: cookies(headers, COOKIE), authorization: Authorization::of(headers) })
    }
}

impl Authorization {
    /// Reads the header. The scheme's name is case-insensitive (RFC 9110 §11.1).
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Self::Absent };
        let bearer = value.to_str().ok().and_then(|text| text.trim().split_once(' '));
        match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Self::Bearer(token.trim().to_owned()),
            _ => Self::Other,
        }
    }
}

/// The client's address, if exactly one is stated (`brig.md` §4.1).
pub fn client_ip(headers: &HeaderMap) -> Option<IpAddr> {
    let mut values = headers.get_all(X_FORWARDED_FOR).iter();
    let (first, second) = (values.next()?, values.next());
    if second.is_some() {
        return None;
    }
    first.to_str().ok()?.trim().parse().ok()
}

/// The values of all cookies of that name, in order, at most [`limits::COOKIES`]. RFC 6265 §5.4; several `Cookie`
/// headers count as one, as HTTP/2 splits them.
fn cookies(headers: &HeaderMap, name: &str) -> Vec<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| unquoted(value.trim()));
    values.take(limits::COOKIES).map(str::to_owned).collect()
}

/// Without the quotes that may stand around a value, both or none (RFC 6265 §4.1.1).
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

fn read<T: FromStr>(headers: &HeaderMap, name: &HeaderName) -> Result<Option<T>, Rejection> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| Rejection::bad_header(name))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_user_is_read_from_the_edges_headers() {
        let id = "ac41a202-2555-11ec-9341-00163e5e6c00";
        let full = headers(&[(Z_USER, id), (Z_CLIENT, "ff"), (Z_CONNECTION, "17")]);
        let authed = UserToken::principal(&full).unwrap();
        assert_eq!(authed, Authed { user: id.parse().unwrap(), client: Some(ClientId(255)), connection: Some(17) });
        assert_eq!(UserToken::principal(&headers(&[(Z_USER, id)])).unwrap().client, None);
        for bad in
            [&[][..], &[(Z_USER, "x")], &[(Z_USER, id), (Z_CLIENT, "xyz")], &[(Z_USER, id), (Z_CONNECTION, "-1")]]
        {
            assert!(UserToken::principal(&headers(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_cookie_of_the_name_counts() {
        let mut map = headers(&[(header::COOKIE, "a=1; zuid=x.y=; zuid=\"z\"")]);
        map.append(header::COOKIE, HeaderValue::from_static("zuid=last"));
        assert_eq!(cookies(&map, COOKIE), ["x.y=", "z", "last"]);
        for (header, expected) in [
            ("zuid=a", vec!["a"]),
            ("zuid=a==.v=1; other=x;zuid=b", vec!["a==.v=1", "b"]),
            (" zuid = \"a\" ; xzuid=c; zuidx=d; zuid", vec!["a"]),
            ("zuid=\"\"a\"\"; zuid=\"; zuid=\"b", vec!["\"a\"", "\"", "\"b"]),
            ("ZUID=a", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(cookies(&headers(&[(header::COOKIE, header)]), COOKIE), expected, "{header}");
        }
        let many = headers(&[(header::COOKIE, &"zuid=a;".repeat(100))]);
        assert_eq!(cookies(&many, COOKIE).len(), limits::COOKIES);
    }

    proptest::proptest! {
        #[test]
        fn a_cookie_is_read_as_it_was_set(value in "[!#-+\\--:<-\\[\\]-~]{0,80}", quoted: bool) {
            let sent = if quoted { format!("a=b; zuid=\"{value}\"") } else { format!("a=b; zuid={value}") };
            proptest::prop_assert_eq!(cookies(&headers(&[(header::COOKIE, &sent)]), COOKIE), [value]);
        }

        #[test]
        fn any_cookie_header_is_survived(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let map = HeaderMap::from_iter([(header::COOKIE, value)]);
                proptest::prop_assert!(cookies(&map, COOKIE).len() <= limits::COOKIES);
            }
        }
    }

    #[test]
    fn schemes() {
        let of = |text: &str| Authorization::of(&headers(&[(header::AUTHORIZATION, text)]));
        assert!(Authorization::of(&HeaderMap::new()) == Authorization::Absent);
        assert!(of("bearer  t ") == Authorization::Bearer("t".to_owned()));
        assert!(of("Basic t") == Authorization::Other);
        assert!(of("t") == Authorization::Other);
    }

    #[test]
    fn the_address_is_one() {
        assert_eq!(client_ip(&headers(&[(X_FORWARDED_FOR, "::1")])), Some("::1".parse().unwrap()));
        for bad in ["", "1.2.3.4, 5.6.7.8", "unknown"] {
            assert_eq!(client_ip(&headers(&[(X_FORWARDED_FOR, bad)])), None, "{bad}");
        }
        let mut two = headers(&[(X_FORWARDED_FOR, "1.2.3.4")]);
        two.append(X_FORWARDED_FOR, HeaderValue::from_static("1.2.3.4"));
        assert_eq!(client_ip(&two), None);
    }
}
