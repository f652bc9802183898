//! The domain of a stand-alone federator where its configuration has none: brig says it, once it is there.

use std::sync::{Arc, OnceLock};

use axum::{Router, extract::Request, response::Response, routing::any};
use public_api::error::common::SERVER_ERROR;
use services::Body;
use tower::ServiceExt;
use types::Domain;

use crate::{
    client::{Call, Target, json},
    config::HostPort,
    limits,
};

/// What a supervisor is told meanwhile.
pub(crate) const SERVING_WITHOUT: &str =
    "Serving; federation waits until brig says of which domain it is, as no domain is configured";

/// What a listener answers once the domain is known, and before.
#[derive(Clone, Default)]
pub(crate) struct Later(Arc<OnceLock<Router>>);

impl Later {
    /// A router that answers as `before` until there is something else.
    pub(crate) fn router(&self, before: Router) -> Router {
        let this = self.clone();
        Router::new().fallback(move |request: Request| {
            let router = this.0.get().unwrap_or(&before).clone();
            async move {
                let Ok(answer) = router.oneshot(request).await;
                answer
            }
        })
    }

    /// From now on it is answered as by this router.
    pub(crate) fn begin(&self, router: Router) {
        // Nobody begins twice.
        let _ = self.0.set(router);
    }
}

/// Calls that cannot be made yet: what wire-server answers while brig is away (`federation.md` §5).
pub(crate) fn no_calls(path: &str) -> Router {
    Router::new().route(path, any(async || -> Response { SERVER_ERROR.failure().to_response().map(Body::from) }))
}

/// The domain that brig says it is of (`GET /api-version`). Asks until it is answered: components start in any order.
pub(crate) async fn of_brig(brig: HostPort) -> Domain {
    let HostPort { host, port } = brig;
    let ask = |target: &Target| Call::get(target, "/api-version");
    let mut told = false;
    loop {
        let problem = match Call::send_to_name(&host, port, limits::BRIG_ANSWERS, ask).await {
            Ok(answer) => match json(&answer)["domain"].as_str().and_then(|domain| domain.parse::<Domain>().ok()) {
                Some(domain) => {
                    tracing::info!(%domain, "brig says of which domain it is");
                    return domain;
                }
                None => format!("its answer ({}) has no domain", answer.status()),
            },
            Err(error) => error.to_string(),
        };
        if !told {
            tracing::warn!(
                problem,
                "no domain is configured, and brig does not say of which it is; calls are answered with an error until \
                 it does"
            );
            told = true;
        }
        tokio::time::sleep(limits::BRIG_IS_AWAY).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, time::timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_brig_that_is_silent_is_soon_asked_again() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let asking = of_brig(HostPort { host: "127.0.0.1".into(), port });
        let again = async {
            // Open, and unanswered.
            let mut asked = Vec::new();
            for _ in 0..3 {
                asked.push(silent.accept().await.unwrap());
            }
        };
        let asked = async {
            tokio::select! { _ = asking => unreachable!("it says nothing"), () = again => () }
        };
        timeout(3 * (limits::BRIG_ANSWERS + limits::BRIG_IS_AWAY), asked).await.expect("it is asked three times");
    }
}
