//! What every process answers about itself: its health, what it has counted, and what it can be asked.

use std::sync::Arc;

use prometheus::{Registry, TextEncoder};
use public_api::{
    Empty, Endpoint, EndpointInfo, Failure,
    endpoints::system::process::{GetMetrics, GetStatus, GetSwagger, GetSwaggerUi, GetSwaggerUiPage, HeadStatus},
    error::common,
    system::{Html, Metrics, Swagger},
};

use crate::{Request, Routes, Served, openapi};

/// `/i/status`, `/i/metrics` with what is in that registry, and the documents of the endpoints in `served`.
///
/// The registry must be the backend's own: several may share a process, and none must show another's counters.
pub fn process(served: &Served, registry: Registry) -> Served {
    let endpoints: Arc<[EndpointInfo]> = served.endpoints().cloned().collect();
    let metrics = Routes::new(registry).serve::<GetMetrics, _>(metrics).done();
    Routes::new(endpoints)
        .serve::<GetStatus, _>(status::<GetStatus>)
        .serve::<HeadStatus, _>(status::<HeadStatus>)
        .serve::<GetSwagger, _>(swagger)
        .serve::<GetSwaggerUi, _>(swagger_ui::<GetSwaggerUi>)
        .serve::<GetSwaggerUiPage, _>(swagger_ui::<GetSwaggerUiPage>)
        .done()
        .and(metrics)
}

async fn metrics(registry: Registry, _: Request<GetMetrics>) -> Result<Metrics, Failure> {
    TextEncoder::new().encode_to_string(&registry.gather()).map(Metrics).map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written down");
        common::SERVER_ERROR.failure()
    })
}

async fn status<E: Endpoint>(_: Arc<[EndpointInfo]>, _: Request<E>) -> Result<Empty<200>, Failure> {
    Ok(Empty)
}

async fn swagger(endpoints: Arc<[EndpointInfo]>, request: Request<GetSwagger>) -> Result<Swagger, Failure> {
    Ok(Swagger(openapi::document(endpoints.iter(), request.version)))
}

async fn swagger_ui<E: Endpoint>(_: Arc<[EndpointInfo]>, _: Request<E>) -> Result<Html, Failure> {
    Ok(Html(include_str!("swagger-ui.html")))
}
