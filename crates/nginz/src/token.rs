//! The token of a request and what it is worth (`brig.md` §1, "Token acceptance at the edge").

use std::borrow::Cow;

use http::{HeaderMap, header};
use types::Timestamp;
use zauth::{PublicKeys, SignedToken, Token};

/// The text of the token that a request presents: `Authorization: Bearer T`, `Authorization: AWS4-HMAC-SHA256 …
/// Credential=T, …` as S3 tools send it, or `access_token=T` in the query. With a header the query does not count.
pub(crate) fn presented<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<Cow<'a, str>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let pairs = form_urlencoded::parse(query?.as_bytes());
        return pairs.into_iter().find(|(key, _)| key == "access_token").map(|(_, token)| token);
    };
    let (scheme, rest) = value.to_str().ok()?.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().into());
    }
    if scheme.eq_ignore_ascii_case("aws4-hmac-sha256") {
        let (_, credential) = rest.split_once("Credential=")?;
        // S3 tools put a scope behind the credential, with slashes; a token has none.
        return credential.split([',', '/', ' ']).next().map(Cow::from);
    }
    None
}

/// What a token says, if it is genuine and has not expired.
pub(crate) fn judge(text: &str, keys: &PublicKeys, now: Timestamp) -> Option<Token> {
    let signed: SignedToken = text.parse().ok()?;
    match signed.verify_expiry_first(keys, now) {
        Ok(token) => Some(token.clone()),
        Err(error) => {
            tracing::debug!(%error, "token refused");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(authorization: Option<&str>, query: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        presented(&headers, query).map(Cow::into_owned)
    }

    #[test]
    fn three_places() {
        let token = || Some("a.b==".to_owned());
        assert_eq!(of(Some("Bearer a.b=="), None), token());
        assert_eq!(of(Some("bearer  a.b== "), None), token());
        assert_eq!(of(None, Some("x=1&access_token=a.b%3D%3D&y")), token());
        let aws = "AWS4-HMAC-SHA256 Credential=a.b==, SignedHeaders=host, Signature=x";
        assert_eq!(of(Some(aws), None), token());
        let scoped = "AWS4-HMAC-SHA256 SignedHeaders=host,Credential=a.b==/20261124/eu/s3/aws4_request,Signature=x";
        assert_eq!(of(Some(scoped), None), token());
    }

    #[test]
    fn what_is_no_token() {
        for (authorization, query) in [
            (None, None),
            (None, Some("access=x")),
            (Some("Basic abc"), None),
            (Some("Basic abc"), Some("access_token=t")),
            (Some("Bearer"), None),
            (Some("t"), None),
            (Some("AWS4-HMAC-SHA256 SignedHeaders=host"), None),
        ] {
            assert_eq!(of(authorization, query), None, "{authorization:?} {query:?}");
        }
    }

    proptest! {
        #[test]
        fn any_token_is_found_in_each_place(token in "[!-+.-~&&[^/,]]{1,50}") {
            prop_assert_eq!(of(Some(&format!("Bearer {token}")), Some("access_token=other")), Some(token.clone()));
            let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("access_token", &token).finish();
            prop_assert_eq!(of(None, Some(&query)), Some(token.clone()));
            let aws = format!("AWS4-HMAC-SHA256 Credential={token}, Signature=x");
            prop_assert_eq!(of(Some(&aws), None), Some(token));
        }

        #[test]
        fn no_header_makes_it_panic(header in "[ -~]*", query in "\\PC*") {
            let text = of(Some(&header), Some(&query)).unwrap_or_default();
            prop_assert!(judge(&text, &PublicKeys::parse(KEY).unwrap(), Timestamp::EPOCH).is_none());
        }
    }

    /// The public key of RFC 8032 §7.1, test 1.
    const KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
}
