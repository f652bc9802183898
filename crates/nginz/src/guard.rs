//! The guard of the internal listener, on which everybody is believed.
//!
//! A web page can make a browser on the same machine send requests to loopback. It cannot forge `Host` (DNS rebinding
//! shows there) nor leave out `Origin` on anything that changes something.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{StatusCode, header, uri::Authority};

pub(crate) fn around(router: Router, allowed_hosts: Vec<String>) -> Router {
    let hosts: Arc<[String]> = allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    router.layer(middleware::from_fn_with_state(hosts, check))
}

async fn check(State(allowed): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return web::plain(StatusCode::FORBIDDEN, "Web pages have no business here");
    }
    if !host_of(&request).is_some_and(|host| is_allowed(&host, &allowed)) {
        return web::plain(StatusCode::MISDIRECTED_REQUEST, "This is not the host that was asked for");
    }
    next.run(request).await
}

/// What the request is addressed to: the authority of its target (always there in HTTP/2), or `Host`. If both are
/// there they must be the same.
fn host_of(request: &Request) -> Option<Authority> {
    let in_target = request.uri().authority().cloned();
    let mut headers = request.headers().get_all(header::HOST).iter();
    let (first, second) = (headers.next(), headers.next());
    if second.is_some() {
        return None;
    }
    let in_header = match first {
        Some(value) => Some(value.to_str().ok()?.parse::<Authority>().ok()?),
        None => None,
    };
    match (in_target, in_header) {
        (Some(target), Some(header)) if target != header => None,
        (Some(target), _) => Some(target),
        (None, header) => header,
    }
}

fn is_allowed(host: &Authority, allowed: &[String]) -> bool {
    let whole = host.as_str().to_ascii_lowercase();
    let name = host.host().to_ascii_lowercase();
    allowed.iter().any(|allowed| *allowed == whole || *allowed == name)
}
