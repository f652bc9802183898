//! A federator of another process, as components use it: hop A of `federation.md` §1.1, the component's side.

mod outage;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::RETRY_AFTER};
use http_body_util::Full;
use hyper::body::Incoming;
use listening::Turns;
use public_api::error::federation as catalogue;
use serde_json::Value;
use services::{Body, Outbound, OutboundError, ReportedError, RpcCall};
use tokio::time::{Instant, sleep, timeout};
use types::Domain;

use self::outage::Outage;
pub use crate::http_client::AddressError;
use crate::{
    answer_body::AnswerBody,
    cause, header,
    http_client::{self, Address, HttpClient},
    limits::OutsideLimits,
    read_error,
};

/// Calls through a federator at an address: HTTP/2 without TLS, known beforehand, over one connection that all calls
/// share. Wire-server's federator is as good as Ferrule's.
///
/// Where it cannot be connected to, as while it starts anew, a call waits and tries again for a while
/// ([`OutsideLimits::patience`]). What was written to it is never sent a second time.
///
/// Errors are told as `federation.md` §5.2 has it.
pub struct OutsideFederator {
    own_domain: Domain,
    address: Address,
    client: HttpClient,
    turns: Turns<Domain>,
    outage: Mutex<Outage>,
    limits: OutsideLimits,
}

impl OutsideFederator {
    /// A federator at `host:port`, for the backend of that domain. Nothing is connected before the first call.
    ///
    /// # Errors
    /// The text is no `host:port`.
    pub fn new(own_domain: Domain, address: &str, limits: OutsideLimits) -> Result<Self, AddressError> {
        let client = http_client::client(limits.connect, |builder| {
            builder
                .http2_only(true)
                .http2_keep_alive_interval(limits.ping_interval)
                .http2_keep_alive_timeout(limits.ping_timeout);
        });
        let turns = Turns::new(limits.calls, limits.calls_per_domain);
        Ok(Self { own_domain, address: Address::parse(address)?, client, turns, outage: Mutex::default(), limits })
    }

    /// The request. The origin is said because wire-server's federator passes on what it is told.
    fn request(&self, call: &RpcCall) -> Request<Full<Bytes>> {
        let RpcCall { target, component, rpc, version, body, context } = call;
        let mut request = Request::post(self.address.at(&format!("/rpc/{target}/{component}/{rpc}")));
        let values = [
            (header::WIRE_ORIGIN_DOMAIN, HeaderValue::from_str(self.own_domain.as_str()).ok()),
            (header::WIRE_ORIGIN_REQUEST_ID, HeaderValue::from_str(&context.request_id).ok()),
            (header::WIRE_API_VERSION, version.clone()),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let mut request = request.body(Full::new(body.clone())).unwrap_or_default();
        if let Some(trace) = &context.trace {
            header::set_trace(request.headers_mut(), trace);
        }
        request
    }

    /// The answer. Only where nothing was connected, so that nothing can have been sent, the call is tried again.
    async fn ask(&self, call: &RpcCall) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let began = Instant::now();
            let error = match self.client.request(self.request(call)).await {
                Err(error) if error.is_connect() => error,
                connected => {
                    self.outage().over();
                    return connected;
                }
            };
            let pause = self.outage().pause(began, Instant::now(), attempts, &self.limits);
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!(request = call.context.request_id, federator = %self.address, error = cause::chain(&error),
                "the federator cannot be reached, trying again in {pause:?}");
            sleep(pause).await;
        }
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbound for OutsideFederator {
    async fn send(&self, call: RpcCall) -> Result<Response<Body>, OutboundError> {
        let limits = &self.limits;
        let id = &call.context.request_id;
        let Some(turn) = self.turns.take(call.target.clone()) else {
            tracing::warn!(request = id, target = %call.target, "too many calls through the federator are under way");
            return Err(OutboundError::Busy { retry_after: limits.busy });
        };
        let answered = timeout(limits.answer_head, self.ask(&call)).await;
        let result = match answered {
            Ok(Ok(answer)) if answer.status().is_success() => {
                return Ok(answer.map(|body| Body::new(AnswerBody::new(body, limits.answer_idle, turn))));
            }
            Ok(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                let body = read_error::within(body, limits.error_body, limits.error_body_time).await;
                reported(head.status, &head.headers, &body, limits.told_bytes)
            }
            Ok(Err(error)) if error.is_connect() => OutboundError::Unavailable(cause::chain(&error)),
            Ok(Err(error)) => OutboundError::Local(cause::chain(&error)),
            Err(_) => OutboundError::Local(format!("no answer within {:?}", limits.answer_head)),
        };
        tracing::info!(request = id, federator = %self.address, failure = result.failure(), error = %result,
            "a call through the federator failed");
        Err(result)
    }
}

/// What the federator's error means to who called.
fn reported(status: StatusCode, headers: &HeaderMap, body: &[u8], told: usize) -> OutboundError {
    let text = || String::from_utf8_lossy(&body[..body.len().min(told)]).into_owned();
    if status == StatusCode::FORBIDDEN {
        return OutboundError::Local(text());
    }
    let status = status.as_u16();
    let Some(mut error) = read_error::parse(body) else {
        let label = catalogue::UNKNOWN_FEDERATION_ERROR.label.to_owned();
        return OutboundError::Reported(Box::new(ReportedError { status, label, message: text(), inner: None }));
    };
    let inner = error.get_mut("inner").map(Value::take).filter(Value::is_object);
    let said = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    let (label, message) = (said("label"), said("message"));
    let is = |entry: &public_api::ErrorEntry| entry.status == status && entry.label == label;
    let wait = || headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs);
    match (inner, wait()) {
        // Callers look at these.
        (Some(inner), _) if is(&catalogue::FEDERATION_REMOTE_ERROR) && remote_status(&message).is_some() => {
            OutboundError::Remote { status: remote_status(&message).unwrap_or_default(), inner }
        }
        (None, Some(retry_after)) if is(&catalogue::FEDERATION_BUSY) => OutboundError::Busy { retry_after },
        (inner, _) => OutboundError::Reported(Box::new(ReportedError { status, label, message, inner })),
    }
}

/// The remote's status, which stands in the message alone.
fn remote_status(message: &str) -> Option<u16> {
    message.rsplit_once(": ")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(status: u16, body: &str) -> (u16, Value) {
        let error = reported(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), 1000);
        let failure = error.to_failure(&"b.example".parse().unwrap(), "/federation/x");
        (failure.status().as_u16(), failure.to_json())
    }

    #[test]
    fn errors_keep_everything_but_their_data() {
        let data = json!({"type": "federation", "domain": "b.example", "path": "/federation/x"});
        let inner = json!({"code": 404, "label": "unknown-error", "message": ""});
        for (status, label, message, inner) in [
            (400, "federation-denied", "not allowed", None),
            (422, "invalid-domain", "srv record not found: x", None),
            (521, "federation-connection-refused", "m", None),
            (533, "federation-remote-error", "A remote federator failed with status code: 404", Some(&inner)),
            (533, "federation-remote-error", "in other words", Some(&inner)),
            (533, "a-label-of-tomorrow", "m", Some(&inner)),
            (503, "federation-busy", "m", None),
        ] {
            let mut sent = json!({"code": status, "label": label, "message": message,
                "data": {"type": "federation", "domain": "fed.b.example.", "path": "/federation/brig/x"}});
            let mut expected = json!({"code": status, "label": label, "message": message, "data": data});
            if let Some(inner) = inner {
                sent["inner"] = inner.clone();
                expected["inner"] = inner.clone();
            }
            assert_eq!(told(status, &sent.to_string()), (status, expected), "{label}");
        }
    }

    #[test]
    fn what_is_no_error_of_wire_keeps_its_status_and_403_is_ours() {
        for text in ["", "nginx", "[]", "{\"code\":400}"] {
            let (status, error) = told(502, text);
            assert_eq!(
                (status, &error["code"], &error["label"]),
                (502, &json!(502), &json!("unknown-federation-error"))
            );
            assert_eq!(error["message"], text);
            let (status, error) = told(403, text);
            assert_eq!((status, &error["label"]), (500, &json!("federation-local-error")));
        }
    }

    /// What is inside is an error, or there is nothing inside.
    #[test]
    fn an_inner_error_that_is_no_object_is_left_out() {
        for inner in [json!("text"), json!(null), json!([1]), json!(7)] {
            let sent = json!({"code": 533, "label": "federation-remote-error", "inner": inner,
                "message": "A remote federator failed with status code: 404"});
            let (status, error) = told(533, &sent.to_string());
            assert_eq!((status, error.get("inner")), (533, None), "{inner}");
        }
    }

    #[test]
    fn doubts_about_the_version_survive() {
        let body = json!({"code": 533, "label": "federation-remote-error", "inner": {"code": 404, "label": "x", "message": ""},
            "message": "A remote federator failed with status code: 404"});
        let error = reported(StatusCode::from_u16(533).unwrap(), &HeaderMap::new(), body.to_string().as_bytes(), 1000);
        assert!(services::FederationErrorKind::from(error).doubts_version());
    }

    proptest! {
        #[test]
        fn any_answer_becomes_an_error(body in prop::collection::vec(any::<u8>(), 0..200), status in 300_u16..1000) {
            let error = reported(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body, 1000);
            let failure = error.to_failure(&"b.example".parse().unwrap(), "/federation/x");
            prop_assert!(failure.status().as_u16() >= 400);
        }
    }
}
