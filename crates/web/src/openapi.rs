//! The OpenAPI document of a version, made of the declarations.

use std::collections::BTreeMap;

use public_api::{EndpointInfo, Schema, Schemas, Version, access::AccessKind};
use serde_json::{Map, Value, json};

/// The document (OpenAPI 3.1.0) of the endpoints that clients may call in that version. Shapes are those of the newest
/// version; where an older one differs, the endpoint's summary says how.
pub fn document<'a>(endpoints: impl Iterator<Item = &'a EndpointInfo>, version: Version) -> Value {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for info in endpoints.filter(|info| !info.is_internal() && info.versions.contains(version)) {
        let method = info.method.as_str().to_ascii_lowercase();
        paths.entry(info.path).or_default().insert(method, operation(info, &mut schemas));
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Ferrule", "version": version.to_string()},
        "servers": [{"url": format!("/{version}")}],
        "paths": paths,
        "components": {
            "schemas": schemas.into_inner(),
            "securitySchemes": {
                "cookie": {"type": "apiKey", "in": "cookie", "name": public_api::access::COOKIE},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

fn operation(info: &EndpointInfo, schemas: &mut Schemas) -> Value {
    let mut operation = json!({
        "operationId": info.id,
        "summary": info.summary.trim(),
        "tags": [info.component.to_string()],
        "responses": responses(info, schemas),
    });
    let parameters = parameters(info);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = (info.body)(schemas) {
        operation["requestBody"] = json!({"required": true, "content": {body.content_type: {"schema": body.schema}}});
    }
    match info.access {
        AccessKind::Cookie => operation["security"] = json!([{"cookie": []}]),
        AccessKind::User => operation["security"] = json!([{"token": []}]),
        AccessKind::Anyone | AccessKind::Internal => {}
    }
    operation
}

fn parameters(info: &EndpointInfo) -> Vec<Value> {
    let in_path = info.captures().zip((info.path_params)());
    let in_path = in_path.map(|(name, schema)| json!({"in": "path", "name": name, "required": true, "schema": schema}));
    let in_query = (info.query_params)()
        .into_iter()
        .map(|param| json!({"in": "query", "name": param.name, "required": param.required, "schema": param.schema}));
    in_path.chain(in_query).collect()
}

fn responses(info: &EndpointInfo, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    for answer in (info.answer)(schemas) {
        let mut response = json!({"description": "Success"});
        if let Some((content_type, schema)) = answer.content {
            response["content"] = json!({content_type: {"schema": schema}});
        }
        for header in answer.headers {
            response["headers"][header] = json!({"schema": String::schema(schemas)});
        }
        responses.insert(answer.status.to_string(), response);
    }
    let mut errors: BTreeMap<u16, Vec<(&str, &str)>> = BTreeMap::new();
    for entry in info.errors {
        errors.entry(entry.status).or_default().push((entry.label, entry.message));
    }
    for (status, entries) in errors {
        let labels: std::collections::BTreeSet<&str> = entries.iter().map(|entry| entry.0).collect();
        let description: Vec<String> = entries.iter().map(|(label, message)| format!("`{label}`: {message}")).collect();
        let schema = json!({
            "type": "object",
            "properties": {
                "code": {"const": status},
                "label": {"type": "string", "enum": labels},
                "message": {"type": "string"},
            },
            "required": ["code", "label", "message"],
        });
        let response = json!({
            "description": description.join("\n\n"),
            "content": {"application/json": {"schema": schema}},
        });
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}
