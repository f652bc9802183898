//! Calls from other backends.

use axum::body::Body;
use bytes::Bytes;
use federation_api::{
    ApiVersion, Component, SearchResponse, Unit, UserProfile, VersionInfo,
    brig::{ApiVersion as GetApiVersion, GetUserByHandle, SearchUsers},
};
use http::{Method, Request, Response};
use public_api::{Failure, error::federation::FEDERATION_DENIED};
use types::SearchPolicy;
use web::{RpcRequest, RpcRoutes};

use crate::toy::Got;

async fn versions(_: (), _: RpcRequest<GetApiVersion>) -> Result<VersionInfo, Failure> {
    Ok(VersionInfo::own())
}

async fn search(_: (), call: RpcRequest<SearchUsers>) -> Result<SearchResponse, Failure> {
    assert_eq!((call.origin.as_str(), call.request_id.as_str()), ("b.example", "id"));
    assert_eq!((call.version, call.origin_ip), (ApiVersion(2), Some("2001:db8::1".parse().unwrap())));
    Ok(SearchResponse { contacts: Vec::new(), search_policy: SearchPolicy::NoSearch })
}

async fn by_handle(_: (), call: RpcRequest<GetUserByHandle>) -> Result<Option<UserProfile>, Failure> {
    match call.body.as_str() {
        "panic" => panic!("asked for"),
        "denied" => Err(FEDERATION_DENIED.failure()),
        _ => Ok(None),
    }
}

async fn call(name: &str, headers: &[(&str, &str)], body: &str) -> Got {
    let routes = RpcRoutes::new(Component::Brig)
        .serve::<GetApiVersion, _>(versions)
        .serve::<GetUserByHandle, _>(by_handle)
        .serve::<SearchUsers, _>(search);
    let mut request = Request::builder().method(Method::POST).uri(format!("/federation/{name}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let answer: Response<Body> = routes.handle(&(), request).await;
    Got::from(answer).await
}

const ORIGIN: (&str, &str) = ("wire-origin-domain", "b.example");

#[tokio::test]
async fn a_call_reaches_its_handler_typed() {
    let headers = [ORIGIN, ("request-id", "id"), ("x-wire-api-version", "2"), ("wire-origin-ip", "2001:db8::1")];
    let answer = call("search-users", &headers, r#"{"term":"x","from":null,"onlyInTeams":null,"types":null}"#).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, r#"{"contacts":[],"searchPolicy":"no_search"}"#));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(call("get-user-by-handle", &[ORIGIN], "\"bob\"").await.text(), "null");
    let _: Unit = serde_json::from_str("[]").unwrap();
    assert_eq!(call("api-version", &[ORIGIN], "[]").await.json()["supported"], serde_json::json!([0, 1]));
}

#[tokio::test]
async fn an_unreadable_body_is_400_bad_request() {
    for body in ["", "{", "17", "\"Capital\"", "\"bob\" x"] {
        let answer = call("get-user-by-handle", &[ORIGIN], body).await;
        assert_eq!(answer.error(), (400, "bad-request".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn versions_that_are_not_ours_are_404_and_unreadable_ones_are_0() {
    for version in ["4", "99", "4294967296", "99999999999999999999999999"] {
        call("get-user-by-handle", &[ORIGIN, ("x-wire-api-version", version)], "\"bob\"").await.assert_empty(404);
    }
    for version in ["", "x", "-1", "v2", "1.5"] {
        let answer = call("get-user-by-handle", &[ORIGIN, ("x-wire-api-version", version)], "\"bob\"").await;
        assert_eq!(answer.status, 200, "{version}");
    }
}

#[tokio::test]
async fn unknown_rpcs_are_404_in_each_components_way() {
    call("no-such-rpc", &[ORIGIN], "[]").await.assert_empty(404);
    let galley = RpcRoutes::<()>::new(Component::Galley);
    let request = Request::post("/federation/no-such-rpc").body(Bytes::new()).unwrap();
    assert_eq!(Got::from(galley.handle(&(), request).await).await.error(), (404, "no-endpoint".to_owned()));
}

#[tokio::test]
async fn without_an_origin_nothing_is_answered() {
    call("api-version", &[], "[]").await.assert_plain_400();
    call("api-version", &[("wire-origin-domain", "nonsense")], "[]").await.assert_plain_400();
}

#[tokio::test]
async fn failures_and_panics_are_error_objects() {
    assert_eq!(
        call("get-user-by-handle", &[ORIGIN], "\"denied\"").await.error(),
        (400, "federation-denied".to_owned())
    );
    assert_eq!(call("get-user-by-handle", &[ORIGIN], "\"panic\"").await.error(), (500, "server-error".to_owned()));
}
