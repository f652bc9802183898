//! Reading a remote's JSON answer.

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::ClientLimits;
use crate::{FederationErrorKind, Outbound, OutboundError, RpcCall};

/// Sends a call and reads its answer, which must be JSON by its content type.
pub async fn json(outbound: &dyn Outbound, call: RpcCall, limits: &ClientLimits) -> Result<Bytes, FederationErrorKind> {
    let read = async {
        let answer = outbound.send(call).await?;
        expect_json(answer.headers())?;
        let body = Limited::new(answer.into_body(), limits.answer_bytes).collect().await;
        Ok(body.map_err(|error| broken(error.as_ref(), limits))?.to_bytes())
    };
    match timeout(limits.answer_time, read).await {
        Ok(answer) => answer,
        Err(_) => {
            let text = format!("the answer was not complete after {:?}", limits.answer_time);
            Err(OutboundError::Http2(text).into())
        }
    }
}

fn broken(error: &(dyn std::error::Error + Send + Sync + 'static), limits: &ClientLimits) -> FederationErrorKind {
    if error.is::<LengthLimitError>() {
        return FederationErrorKind::InvalidBody(format!("it is longer than {} bytes", limits.answer_bytes));
    }
    OutboundError::Http2(format!("the answer broke off: {error}")).into()
}

/// Whether the content type is `application/json`, whatever its parameters. None at all means a stream of bytes
/// (RFC 9110 §8.3), which is not what was asked for.
fn expect_json(headers: &HeaderMap) -> Result<(), FederationErrorKind> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(FederationErrorKind::UnsupportedContentType("application/octet-stream".to_owned()));
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("application", "json")) => Ok(()),
        Some((kind, sub)) if is_token(kind) && is_token(sub) => {
            Err(FederationErrorKind::UnsupportedContentType(essence))
        }
        _ => Err(FederationErrorKind::InvalidContentType(text.into_owned())),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn judged(content_type: Option<&[u8]>) -> Result<(), FederationErrorKind> {
        let mut headers = HeaderMap::new();
        if let Some(text) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_bytes(text).unwrap());
        }
        expect_json(&headers)
    }

    #[test]
    fn content_types() {
        for good in ["application/json", "application/json;charset=utf-8", "Application/JSON ; charset=utf-8"] {
            assert_eq!(judged(Some(good.as_bytes())), Ok(()), "{good}");
        }
        for other in ["text/html", "application/octet-stream", "application/json-seq; x=y"] {
            let found = judged(Some(other.as_bytes()));
            assert!(matches!(found, Err(FederationErrorKind::UnsupportedContentType(_))), "{other}: {found:?}");
        }
        assert!(matches!(judged(None), Err(FederationErrorKind::UnsupportedContentType(_))));
        for bad in [&b"json"[..], b"", b"/json", b"application/", b"a b/c", b"\xff\xfe"] {
            let found = judged(Some(bad));
            assert!(matches!(found, Err(FederationErrorKind::InvalidContentType(_))), "{bad:?}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn any_content_type_is_judged(bytes in proptest::collection::vec(0x20u8..0x7f, 0..40)) {
            let _ = judged(Some(&bytes));
        }
    }
}
