//! What a remote's answer becomes.

use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use services::{Body, OutboundError};

use super::link::{Link, Stream};
use crate::{answer_body::AnswerBody, header, limits::OutboundLimits, read_error};

/// A 2xx answer passes with its headers, `Wire-Remote-IP` added and the body streamed. Any other is read, and becomes
/// the inner error of a [`OutboundError::Remote`].
pub(super) async fn judge(
    answer: Response<AnswerBody<Stream>>,
    link: &Link,
    limits: &OutboundLimits,
) -> Result<Response<Body>, OutboundError> {
    if answer.status().is_success() {
        let mut answer = answer.map(Body::new);
        if let Ok(ip) = HeaderValue::from_str(&link.address.ip().to_canonical().to_string()) {
            answer.headers_mut().insert(header::WIRE_REMOTE_IP, ip);
        }
        return Ok(answer);
    }
    let status = answer.status();
    let body = read_error::within(answer.into_body(), limits.error_body, limits.error_body_time).await;
    Err(OutboundError::Remote { status: status.as_u16(), inner: inner(status, &body) })
}

/// The remote's error if it is one, `{code, label: "unknown-error", message: body}` otherwise.
fn inner(status: StatusCode, body: &[u8]) -> Value {
    read_error::parse(body).unwrap_or_else(|| {
        let message = String::from_utf8_lossy(body);
        json!({"code": status.as_u16(), "label": "unknown-error", "message": message})
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_is_kept_as_it_is_and_anything_else_is_wrapped() {
        let error = r#"{"code":403,"label":"authentication-failure","message":"m","inner":{"x":[1]},"data":null}"#;
        assert_eq!(inner(StatusCode::FORBIDDEN, error.as_bytes()), serde_json::from_str::<Value>(error).unwrap());
        for other in [
            r#"{"unreachable_backends":["c.example"]}"#,
            r#"{"code":"403","label":"l","message":"m"}"#,
            "No required SSL certificate was sent",
            "[]",
            "\"x\"",
            "",
        ] {
            let expected = json!({"code": 404, "label": "unknown-error", "message": other});
            assert_eq!(inner(StatusCode::NOT_FOUND, other.as_bytes()), expected);
        }
    }

    proptest! {
        #[test]
        fn any_body_becomes_an_error(body in proptest::collection::vec(any::<u8>(), 0..100), code in 300u16..600) {
            let made = inner(StatusCode::from_u16(code).unwrap(), &body);
            prop_assert!(made["label"].is_string());
        }
    }
}
