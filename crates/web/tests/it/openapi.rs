//! The OpenAPI document says what the declarations say.

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use prometheus::Registry;
use public_api::Version;
use serde_json::Value;
use tower::ServiceExt;
use types::SeededRng;
use web::Trusting;

use crate::toy::{Got, Toy, served};

fn document(version: u16) -> Value {
    web::document(public_api::endpoints(), Version(version))
}

#[test]
fn a_document_has_the_operations_of_its_version_and_no_internal_ones() {
    let by_handle = "/users/by-handle/{domain}/{handle}";
    assert!(document(1)["paths"][by_handle].is_object());
    assert!(document(5)["paths"][by_handle].is_null());
    assert!(!document(5).to_string().contains("/i/"));
    assert_eq!(document(5)["servers"][0]["url"], "/v5");
}

#[test]
fn an_operation_is_described_whole() {
    let login = &document(5)["paths"]["/login"]["post"];
    assert_eq!(login["operationId"], "login");
    assert_eq!(login["parameters"][0]["name"], "persist");
    assert_eq!(login["requestBody"]["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Login");
    assert!(login["responses"]["200"]["headers"]["Set-Cookie"].is_object());
    let labels = &login["responses"]["403"]["content"]["application/json"]["schema"]["properties"]["label"]["enum"];
    assert!(labels.as_array().unwrap().contains(&"invalid-credentials".into()));
    let user = &document(5)["paths"]["/users/{domain}/{id}"]["get"];
    assert_eq!((&user["parameters"][1]["name"], &user["parameters"][1]["in"]), (&"id".into(), &"path".into()));
    assert_eq!(user["security"][0]["token"], serde_json::json!([]));
}

#[test]
fn every_reference_leads_somewhere() {
    for version in Version::all() {
        let document = web::document(public_api::endpoints(), version);
        let text = document.to_string();
        for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}

#[tokio::test]
async fn it_is_served_with_a_page_for_people() {
    let served = served(&Toy::default());
    let router =
        web::process(&served, Registry::new()).and(served).router(Arc::new(Trusting), Arc::new(SeededRng::new(1)));
    let ask = |uri: &str| {
        let request = Request::get(uri).extension(Version(3)).body(Body::empty()).unwrap();
        let router = router.clone();
        async move { Got::from(router.oneshot(request).await.unwrap()).await }
    };
    let json = ask("/api/swagger.json").await;
    assert_eq!(json.header("content-type"), "application/json");
    assert_eq!(json.json()["info"]["version"], "v3");
    assert!(json.json()["paths"]["/self"].is_object());
    assert!(json.json()["paths"]["/access/logout"].is_null(), "what nobody answers is not described");
    let page = ask("/api/swagger-ui/").await;
    assert_eq!(page.text(), ask("/api/swagger-ui").await.text());
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text().contains("swagger.json") && !page.text().contains("https://"));
}
