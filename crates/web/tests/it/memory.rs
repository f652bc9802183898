//! Nobody keeps others out by the memory that his bodies take.

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
};
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, request::Parts};
use public_api::{EndpointInfo, limits::JSON_BODY};
use tower::ServiceExt;
use types::SeededRng;
use web::{Gate, Served, Trusting, limits};

use crate::toy::{Got, Toy, served};

const ALICE: &str = "ac41a202-2555-11ec-9341-00163e5e6c00";
const BOB: &str = "ac41a202-2555-11ec-9341-00163e5e6c01";

/// How many of the longest bodies a user may have here at a time.
const MANY: usize = limits::BODY_MEMORY_PER_CALLER / JSON_BODY;

/// Lets everybody pass, as who they say they are.
struct Edge;

impl Gate for Edge {
    fn admit(&self, _: &EndpointInfo, _: &mut Parts) -> Result<(), Box<Response>> {
        Ok(())
    }
}

fn router(served: &Served, gate: impl Gate) -> Router {
    served.router(Arc::new(gate), Arc::new(SeededRng::new(1)))
}

type Answering = Pin<Box<dyn Future<Output = Got>>>;

fn list_users(router: &Router, (name, who): (&str, &str), body: Body) -> Answering {
    let request = Request::post("/list-users").header(name, who).header("z-connection", "1").body(body).unwrap();
    let router = router.clone();
    Box::pin(async move { Got::from(router.oneshot(request).await.unwrap()).await })
}

/// Longer than all the last bytes that [`stall`] leaves out.
fn whole() -> Body {
    Body::from([br#"{"qualified_ids":[]}"#.as_slice(), &[b' '; 1_000]].concat())
}

/// Sends the longest bodies but for the last byte, until so many are held or wait.
async fn stall(router: &Router, who: (&str, &str), count: usize) -> Vec<Answering> {
    let text = Bytes::from(vec![b' '; JSON_BODY]);
    let mut stalled = Vec::new();
    for _ in 0..count {
        let piece = stream::iter([Ok::<_, Infallible>(text.slice(..JSON_BODY - 1))]);
        let mut answer = list_users(router, who, Body::from_stream(piece.chain(stream::pending())));
        if (&mut answer).now_or_never().is_none() {
            stalled.push(answer);
        }
        tokio::task::yield_now().await;
    }
    stalled
}

#[tokio::test]
async fn one_user_cannot_take_more_than_a_share() {
    let served = served(&Toy::default());
    let edge = router(&served.exposed(), Edge);
    let stalled = stall(&edge, ("z-user", ALICE), limits::BODY_MEMORY / JSON_BODY + 1).await;
    assert_eq!(stalled.len(), 2 * MANY, "a share is held and another waits; the rest is refused");
    assert_eq!(list_users(&edge, ("z-user", BOB), whole()).await.status, 200);
}

#[tokio::test]
async fn one_address_cannot_take_more_than_a_share() {
    let edge = router(&served(&Toy::default()).exposed(), Edge);
    let login = |address: &str, text: Body| {
        let request = Request::post("/login").header("x-forwarded-for", address).body(text).unwrap();
        let router = edge.clone();
        Box::pin(async move { Got::from(router.oneshot(request).await.unwrap()).await })
    };
    let text = Bytes::from(vec![b' '; public_api::limits::LOGIN_BODY]);
    let mut stalled = Vec::new();
    for host in 0..limits::BODY_MEMORY / text.len() + 1 {
        let piece = stream::iter([Ok::<_, Infallible>(text.slice(1..))]);
        let mut answer =
            login(&format!("2001:db8::{host:x}"), Body::from_stream(piece.chain(stream::pending::<Result<_, _>>())));
        if (&mut answer).now_or_never().is_none() {
            stalled.push(answer);
        }
        tokio::task::yield_now().await;
    }
    let answer = login("2001:db8:0:1::1", r#"{"handle":"ab","password":"secret"}"#.into()).await;
    assert_eq!(answer.header("retry-after"), "7", "the handler's own answer");
}

#[tokio::test]
async fn waiting_succeeds_when_room_comes() {
    let edge = router(&served(&Toy::default()), Edge);
    let mut stalled = stall(&edge, ("z-user", ALICE), MANY).await;
    let mut waiting = list_users(&edge, ("z-user", ALICE), whole());
    assert!((&mut waiting).now_or_never().is_none());
    stalled.pop();
    assert_eq!(waiting.await.status, 200);
}

#[tokio::test]
async fn routers_do_not_share_memory() {
    let served = served(&Toy::default());
    let (full, other) = (router(&served, Trusting), router(&served, Trusting));
    let stalled = stall(&full, ("z-user", ALICE), limits::BODY_MEMORY / JSON_BODY).await;
    assert_eq!(stalled.len(), limits::BODY_MEMORY / JSON_BODY, "no shares among the trusted");
    assert!(list_users(&full, ("z-user", BOB), whole()).now_or_never().is_none(), "it is full");
    assert_eq!(list_users(&other, ("z-user", BOB), whole()).await.status, 200);
}
