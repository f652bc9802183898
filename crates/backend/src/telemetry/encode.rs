//! OTLP in JSON: `ExportTraceServiceRequest`, its ids in hexadecimal and its times as text, as the protocol has it.

use std::time::Duration;

use serde_json::{Value, json};
use types::Domain;

use super::spans::{Finished, Kind};

/// The body of `POST /v1/traces`.
pub(super) fn request(domain: Option<&Domain>, spans: &[Finished]) -> Value {
    let service = [("service.name", "ferrule"), ("service.version", env!("CARGO_PKG_VERSION"))];
    let backend = domain
        .into_iter()
        .flat_map(|domain| ["service.instance.id", "wire.backend.domain"].map(|name| (name, domain.as_str())));
    let resource: Vec<_> =
        service.into_iter().chain(backend).map(|(name, text)| attribute(name, &text.into())).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": "ferrule"},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

fn span(span: &Finished) -> Value {
    let attributes: Vec<_> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    json!({
        "traceId": span.trace,
        "spanId": span.span,
        "parentSpanId": span.parent.as_deref().unwrap_or_default(),
        "name": span.name,
        "kind": match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
        "startTimeUnixNano": nanos(span.began),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes,
        "status": if span.failed { json!({"code": 2}) } else { json!({}) },
    })
}

fn nanos(since_epoch: Duration) -> String {
    since_epoch.as_nanos().to_string()
}

/// 64-bit numbers are text in protobuf's JSON.
fn attribute(name: &str, value: &Value) -> Value {
    let typed = match value {
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Number(number) if number.is_i64() || number.is_u64() => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        other => json!({"stringValue": other.to_string()}),
    };
    json!({"key": name, "value": typed})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_as_the_protocol_has_it() {
        let finished = Finished {
            name: "inward",
            trace: "0af7651916cd43dd8448eb211c80319c".into(),
            span: "b7ad6b7169203331".into(),
            parent: Some("00f067aa0ba902b7".into()),
            kind: Kind::Server,
            began: Duration::new(1_700_000_000, 5),
            ended: Duration::new(1_700_000_001, 0),
            failed: true,
            attributes: vec![("http.response.status_code", 500.into()), ("rpc", "search-users".into())],
        };
        let domain = "a.example".parse().unwrap();
        let body = request(Some(&domain), std::slice::from_ref(&finished));
        let expected = json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "spanId": "b7ad6b7169203331",
            "parentSpanId": "00f067aa0ba902b7",
            "name": "inward",
            "kind": 2,
            "startTimeUnixNano": "1700000000000000005",
            "endTimeUnixNano": "1700000001000000000",
            "attributes": [
                {"key": "http.response.status_code", "value": {"intValue": "500"}},
                {"key": "rpc", "value": {"stringValue": "search-users"}},
            ],
            "status": {"code": 2},
        });
        assert_eq!(body["resourceSpans"][0]["scopeSpans"][0]["spans"], json!([expected]));
        let resource = body["resourceSpans"][0]["resource"]["attributes"].to_string();
        assert!(resource.contains("service.name") && resource.contains("a.example"), "{resource}");
        let resource = request(None, &[])["resourceSpans"][0]["resource"]["attributes"].to_string();
        assert!(resource.contains("service.name") && !resource.contains("wire.backend.domain"), "{resource}");
    }
}
