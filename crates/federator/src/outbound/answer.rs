//! What a remote's answer becomes.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use services::{Body, OutboundError};
use tokio::time::timeout;

use super::{body::RemoteBody, link::Link};
use crate::{header, limits::OutboundLimits};

/// A 2xx answer passes with its headers, `Wire-Remote-IP` added and the body streamed. Any other is read, and becomes
/// the inner error of a [`OutboundError::Remote`].
pub(super) async fn judge(
    answer: Response<RemoteBody>,
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
    let body = read(answer.into_body(), limits).await;
    Err(OutboundError::Remote { status: status.as_u16(), inner: inner(status, &body) })
}

/// As much of an error's body as comes within the limits.
async fn read(mut body: RemoteBody, limits: &OutboundLimits) -> Bytes {
    let mut read = BytesMut::new();
    let collect = async {
        while read.len() < limits.error_body && !body.is_end_stream() {
            let Some(Ok(frame)) = body.frame().await else { break };
            if let Ok(data) = frame.into_data() {
                let room = limits.error_body - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
    };
    let _ = timeout(limits.error_body_time, collect).await;
    read.freeze()
}

/// The remote's error if it is one, `{code, label: "unknown-error", message: body}` otherwise.
fn inner(status: StatusCode, body: &[u8]) -> Value {
    let is_error = |value: &Value| value["code"].is_u64() && value["label"].is_string() && value["message"].is_string();
    match serde_json::from_slice(body) {
        Ok(value) if is_error(&value) => value,
        _ => {
            let message = String::from_utf8_lossy(body);
            json!({"code": status.as_u16(), "label": "unknown-error", "message": message})
        }
    }
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
