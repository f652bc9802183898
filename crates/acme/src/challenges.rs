//! HTTP-01 (RFC 8555 §8.3): answers by which the server sees that a name is ours.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::limits;

/// The challenges that are open at this moment. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Arc<Mutex<HashMap<String, String>>>);

impl Challenges {
    /// What is served on port 80: the answers to open challenges, and nothing else.
    pub fn router(&self) -> Router {
        Router::new().route("/.well-known/acme-challenge/{token}", get(answer)).with_state(self.clone())
    }

    /// Answers that challenge until what this gives is dropped. `None` when too many are open.
    pub(crate) fn open(&self, token: String, key_authorization: String) -> Option<Open> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::CHALLENGES {
            return None;
        }
        all.insert(token.clone(), key_authorization);
        Some(Open { challenges: self.clone(), token })
    }

    fn find(&self, token: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// A challenge that is answered for as long as this lives.
pub(crate) struct Open {
    challenges: Challenges,
    token: String,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.challenges.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}

async fn answer(State(challenges): State<Challenges>, Path(token): Path<String>) -> Response {
    match challenges.find(&token) {
        Some(answer) => ([(header::CONTENT_TYPE, "application/octet-stream")], answer).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(challenges: &Challenges, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = challenges.router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn open_challenges_are_answered_and_nothing_else() {
        let challenges = Challenges::default();
        let path = "/.well-known/acme-challenge/abc_-123";
        assert_eq!(ask(&challenges, path).await.0, 404);
        let open = challenges.open("abc_-123".into(), "abc_-123.thumb".into());
        assert_eq!(ask(&challenges, path).await, (200, "abc_-123.thumb".into()));
        for other in ["/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/other", "/i/users"] {
            assert_eq!(ask(&challenges, other).await.0, 404, "{other}");
        }
        drop(open);
        assert_eq!(ask(&challenges, path).await.0, 404, "it is closed");
        let many: Vec<_> = (0..limits::CHALLENGES).map(|n| challenges.open(n.to_string(), String::new())).collect();
        assert!(many.iter().all(Option::is_some) && challenges.open("more".into(), String::new()).is_none());
    }
}
