//! A collector of traces: what takes OTLP over HTTP with JSON.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long spans may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// A collector that runs until this is dropped.
pub struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Received {
    spans: Mutex<Vec<Span>>,
    requests: Mutex<usize>,
    told: Notify,
    released: CancellationToken,
}

/// A span as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The backend domain that its sender says it is of.
    pub domain: String,
    /// What it is called.
    pub name: String,
    /// The trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// That of the span above; empty where there is none.
    pub parent: String,
    /// 1 internal, 2 server, 3 client.
    pub kind: u64,
}

/// How a collector takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It says that it has it.
    Well,
    /// It answers nothing before it is released.
    Held,
}

impl Collector {
    /// Starts one.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(taking: Taking) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let received = Arc::<Received>::default();
        if taking == Taking::Well {
            received.released.cancel();
        }
        let shared = Arc::clone(&received);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { address, received, _serving: AbortOnDropHandle::new(serving) })
    }

    /// As `[telemetry] otlp` has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets it answer from now on.
    pub fn release(&self) {
        self.received.released.cancel();
    }

    /// How many messages came.
    pub fn requests(&self) -> usize {
        *self.received.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spans that came.
    pub fn spans(&self) -> Vec<Span> {
        self.received.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until what came is enough, and gives what is made of it.
    ///
    /// # Errors
    /// It is not in time.
    pub async fn until<T>(&self, enough: impl Fn(&Self) -> Option<T>) -> Result<T> {
        let waiting = async {
            loop {
                let next = self.received.told.notified();
                if let Some(found) = enough(self) {
                    return found;
                }
                next.await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .with_context(|| format!("the spans do not come; these came: {:#?}", self.spans()))
    }
}

async fn answer(
    received: Arc<Received>,
    request: Request<Incoming>,
) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let spans = (head.method == "POST" && head.uri.path() == "/v1/traces").then(|| read(&body)).flatten();
    let status = if spans.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    *received.requests.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    received.told.notify_waiters();
    received.released.cancelled().await;
    received.spans.lock().unwrap_or_else(PoisonError::into_inner).extend(spans.into_iter().flatten());
    received.told.notify_waiters();
    let mut answer = Response::new(Full::from("{}"));
    *answer.status_mut() = status;
    Ok(answer)
}

/// The spans of a message; `None` where it is none.
fn read(body: &[u8]) -> Option<Vec<Span>> {
    let message: Value = serde_json::from_slice(body).ok()?;
    let mut spans = Vec::new();
    for resource in message["resourceSpans"].as_array()? {
        let attributes = resource["resource"]["attributes"].as_array()?;
        let domain = attributes.iter().find(|attribute| attribute["key"] == "wire.backend.domain");
        let domain = domain.and_then(|domain| domain["value"]["stringValue"].as_str()).unwrap_or_default();
        for scope in resource["scopeSpans"].as_array()? {
            for span in scope["spans"].as_array()? {
                let text = |name: &str| span[name].as_str().map(str::to_owned);
                spans.push(Span {
                    domain: domain.to_owned(),
                    name: text("name")?,
                    trace: text("traceId").filter(|id| is_hex(id, 32))?,
                    id: text("spanId").filter(|id| is_hex(id, 16))?,
                    parent: text("parentSpanId").unwrap_or_default(),
                    kind: span["kind"].as_u64()?,
                });
                let times = ["startTimeUnixNano", "endTimeUnixNano"].map(|name| text(name)?.parse::<u64>().ok());
                let [Some(began), Some(ended)] = times else { return None };
                if began > ended {
                    return None;
                }
            }
        }
    }
    Some(spans)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}
