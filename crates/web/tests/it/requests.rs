//! What is wrong with a request, and how that is said.

use std::io::Write;

use axum::body::{Body, Bytes};
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use proptest::prelude::*;
use public_api::limits::JSON_BODY;

use crate::toy::{Toy, ask, get, post};

const NEW_USER: &str = r#"{"name":"n"}"#;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bad_values_in_url_and_headers_are_400_in_plain_text() {
    let toy = Toy::default();
    for uri in [
        "/users/nonsense/ac41a202-2555-11ec-9341-00163e5e6c00",
        "/users/a.example/x",
        "/users/by-handle/a.example/Capital",
        "/search/contacts",
        "/search/contacts?q=x&size=0",
        "/search/contacts?q=x&size=501",
        "/search/contacts?q=x&size=many",
        "/search/contacts?q=x&domain=nonsense",
        "/search/contacts?q=x&type=bot",
    ] {
        get(uri).by_user().of(&toy).await.assert_plain_400();
    }
    get("/self").of(&toy).await.assert_plain_400();
    get("/self").header("z-user", "x").of(&toy).await.assert_plain_400();
    get("/self").by_user().header("z-connection", "x").of(&toy).await.assert_plain_400();
}

#[tokio::test]
async fn a_query_string_is_decoded_and_typed() {
    let toy = Toy::default();
    let uri = "/search/contacts?q=b%C3%B6b+x&domain=b.example&size=500&type=regular,app&unknown=1";
    assert_eq!(get(uri).by_user().of(&toy).await.status, 200);
    let query = toy.seen.lock().unwrap().query.take().unwrap();
    assert_eq!((query.q.as_str(), query.size(), query.types().len()), ("böb x", 500, 2));
    assert_eq!(get("/search/contacts?q=&type=").by_user().of(&toy).await.status, 200);
    let query = toy.seen.lock().unwrap().query.take().unwrap();
    assert_eq!((query.q.as_str(), query.size(), query.types().len(), query.domain), ("", 15, 0, None));
}

#[tokio::test]
async fn a_bad_body_is_400_bad_request_with_the_place() {
    let toy = Toy::default();
    for (body, message) in [
        ("{", "Error in $: EOF while parsing an object at line 1 column 1"),
        ("", "Error in $: EOF while parsing a value at line 1 column 0"),
        (r#"{"handle":"ab","password":"short"}"#, "Error in $.password: outside range [6, 1024]"),
    ] {
        let answer = post("/login", body).of(&toy).await;
        assert_eq!(answer.error(), (400, "bad-request".to_owned()));
        assert_eq!(answer.json()["message"], message);
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_415() {
    let toy = Toy::default();
    let typed = |content_type: &str| post("/i/users", NEW_USER).header("content-type", content_type);
    for fine in ["application/json", "application/json;charset=UTF-8", "Application/JSON ; charset=utf-8"] {
        assert_eq!(typed(fine).of(&toy).await.status, 201, "{fine}");
    }
    for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        assert_eq!(typed(other).of(&toy).await.status, 415, "{other}");
    }
}

#[tokio::test]
async fn bodies_have_a_limit_declared_or_not() {
    let toy = Toy::default();
    let too_long = vec![b' '; JSON_BODY + 1];
    let declared = post("/i/users", "").header("content-length", &too_long.len().to_string()).of(&toy).await;
    assert_eq!(declared.error().0, 413);
    let pieces: Vec<_> =
        too_long.chunks(9_999).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    let chunked = post("/i/users", Body::from_stream(stream::iter(pieces))).of(&toy).await;
    assert_eq!(chunked.error().0, 413);
    let mut longest = NEW_USER.as_bytes().to_vec();
    longest.resize(JSON_BODY, b' ');
    assert_eq!(post("/i/users", longest).of(&toy).await.status, 201);
}

#[tokio::test]
async fn gzip_is_understood_and_bombs_are_not() {
    let toy = Toy::default();
    let zipped = |body: Vec<u8>| post("/i/users", body).header("content-encoding", "gzip");
    assert_eq!(zipped(gzip(NEW_USER.as_bytes())).of(&toy).await.status, 201);
    assert_eq!(zipped(gzip(&vec![b' '; 100 << 20])).of(&toy).await.error().0, 413);
    assert_eq!(zipped(NEW_USER.into()).of(&toy).await.error(), (400, "bad-request".to_owned()));
    let other = post("/i/users", NEW_USER).header("content-encoding", "br").of(&toy).await;
    assert_eq!(other.error().0, 415);
}

#[tokio::test]
async fn a_panic_is_a_server_error_and_nothing_more() {
    let toy = Toy::default();
    for when in ["at once", "wait"] {
        let body = format!(r#"{{"handle":"{when}"}}"#);
        let answer = ask(http::Method::PUT, "/self/handle").by_user().body(body).of(&toy).await;
        assert_eq!(answer.error(), (500, "server-error".to_owned()));
        assert!(!answer.text().contains(when));
    }
}

#[tokio::test]
async fn a_bare_server_error_becomes_an_error_object() {
    let answer = get("/broken").of(&Toy::default()).await;
    assert_eq!(answer.error(), (502, "server-error".to_owned()));
    assert!(!answer.header("request-id").is_empty());
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_made_and_returned() {
    let toy = Toy::default();
    let given = get("/self").by_user().header("request-id", "my-id").of(&toy).await;
    assert_eq!(given.header("request-id"), "my-id");
    assert_eq!(toy.seen.lock().unwrap().meta.clone().unwrap().request_id, "my-id");
    let long = "x".repeat(129);
    for bad in ["", "a b", &long] {
        let made = get("/self").by_user().header("request-id", bad).of(&toy).await;
        assert_eq!(made.header("request-id").len(), 36, "{bad}");
        assert_eq!(toy.seen.lock().unwrap().meta.clone().unwrap().request_id, made.header("request-id"));
    }
    assert_eq!(get("/nothing").header("request-id", "my-id").of(&toy).await.header("request-id"), "my-id");
}

#[tokio::test]
async fn the_callers_address_is_known_if_it_is_one() {
    let toy = Toy::default();
    get("/self").by_user().header("x-forwarded-for", "192.0.2.1").of(&toy).await;
    assert_eq!(toy.seen.lock().unwrap().meta.clone().unwrap().client_ip, Some("192.0.2.1".parse().unwrap()));
    get("/self").by_user().header("x-forwarded-for", "192.0.2.1, 192.0.2.2").of(&toy).await;
    assert_eq!(toy.seen.lock().unwrap().meta.clone().unwrap().client_ip, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_url_makes_the_router_panic(path in "(/[!-~]{0,20}){1,4}", query in "[!-~]{0,30}") {
        let uri = format!("{}?{}", path.replace(['?', '#'], ""), query.replace('#', ""));
        prop_assume!(uri.parse::<http::Uri>().is_ok());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = runtime.block_on(get(&uri).by_user().of(&Toy::default()));
        prop_assert!(answer.status.as_u16() < 500 || uri.starts_with("/broken"));
    }
}
