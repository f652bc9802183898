//! Recording components behind a network, for a federator of another process.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::json;
use services::{Body, FederationComponent, PolicySource};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use types::Domain;

use super::{Components, backend::Policy};

/// How long a federator may take to ask for the policy again. Generous: the machine may be busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three components, each on a port of its own, that take note of what a federator brings them; brig also tells the
/// policy, at `GET /i/federation/remotes`.
pub struct ServedComponents {
    /// What reached them, and what they answer.
    pub components: Components,
    /// Where brig is.
    pub brig: SocketAddr,
    /// Where galley is.
    pub galley: SocketAddr,
    /// Where cargohold is.
    pub cargohold: SocketAddr,
    shared: Arc<Shared>,
    _serving: Vec<AbortOnDropHandle<()>>,
}

struct Shared {
    policy: Policy,
    /// Of which domain brig says it is.
    domain: Mutex<String>,
    /// How often the policy was told.
    told: watch::Sender<usize>,
    /// Whether who asks for it waits in vain.
    silent: AtomicBool,
}

impl ServedComponents {
    /// Starts them.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start() -> Result<Self> {
        let components = Components::default();
        let shared = Arc::new(Shared {
            policy: Policy::default(),
            domain: Mutex::default(),
            told: watch::Sender::new(0),
            silent: AtomicBool::new(false),
        });
        let mut serving = Vec::new();
        let mut addresses = Vec::new();
        for component in [&components.brig, &components.galley, &components.cargohold] {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            addresses.push(listener.local_addr()?);
            let serve = serve(listener, Arc::clone(component) as Arc<dyn FederationComponent>, Arc::clone(&shared));
            serving.push(AbortOnDropHandle::new(tokio::spawn(serve)));
        }
        let [brig, galley, cargohold] = addresses[..] else { unreachable!("three were bound") };
        Ok(Self { components, brig, galley, cargohold, shared, _serving: serving })
    }

    /// Puts a remote on the allow list, and waits until the federator has heard of it.
    ///
    /// # Errors
    /// It does not ask again.
    pub async fn allow(&self, domain: &Domain) -> Result<()> {
        self.put(domain);
        self.heard().await
    }

    /// Puts a remote on the allow list, for a federator that has not asked yet.
    pub fn put(&self, domain: &Domain) {
        self.shared.policy.allow(domain);
    }

    /// Lets brig say that it is of that domain.
    pub fn be(&self, domain: &str) {
        domain.clone_into(&mut self.shared.domain.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until the federator has asked for the policy anew.
    ///
    /// # Errors
    /// It does not.
    pub async fn heard(&self) -> Result<()> {
        let mut told = self.shared.told.subscribe();
        let now = *told.borrow_and_update();
        // An answer that is on its way may be the old one; and the next one must have been taken up before the one after
        // it is asked for.
        let again = told.wait_for(|told| *told >= now + 3);
        timeout(PATIENCE, again).await.context("the federator does not ask for the policy")??;
        Ok(())
    }

    /// From now on brig does not answer who asks for the policy.
    pub fn tell_no_policy(&self) {
        self.shared.silent.store(true, Ordering::Relaxed);
    }

    /// How often the policy was asked for.
    pub fn told(&self) -> usize {
        *self.shared.told.borrow()
    }
}

async fn serve(listener: TcpListener, component: Arc<dyn FederationComponent>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (component, shared) = (Arc::clone(&component), Arc::clone(&shared));
        let service = hyper::service::service_fn(move |request| {
            let (component, shared) = (Arc::clone(&component), Arc::clone(&shared));
            async move { Ok::<_, Infallible>(answer(component.as_ref(), &shared, request).await) }
        });
        connections.spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(component: &dyn FederationComponent, shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/i/federation/remotes") => {
            let policy = shared.policy.policy();
            let remotes: Vec<_> = policy.remotes.values().collect();
            let told = json!({"strategy": policy.strategy, "remotes": remotes, "update_interval": 300});
            shared.told.send_modify(|told| *told += 1);
            if shared.silent.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            json_answer(told.to_string())
        }
        (&Method::GET, "/api-version") => {
            let domain = shared.domain.lock().unwrap_or_else(PoisonError::into_inner).clone();
            json_answer(json!({"domain": domain, "federation": true, "supported": [0]}).to_string())
        }
        (&Method::GET, "/i/status") => Response::default(),
        (_, path) if path.starts_with("/federation/") => {
            let (head, body) = request.into_parts();
            match body.collect().await {
                Ok(body) => component.handle(Request::from_parts(head, body.to_bytes())).await,
                Err(_) => status(StatusCode::BAD_REQUEST),
            }
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn json_answer(text: String) -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::new(Bytes::from(text))));
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    answer
}

fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::default();
    *answer.status_mut() = status;
    answer
}
