//! What every process answers about itself: its health, and what it can be asked.

use std::sync::Arc;

use public_api::{
    Empty, Endpoint, EndpointInfo, Failure,
    endpoints::system::process::{GetStatus, GetSwagger, GetSwaggerUi, GetSwaggerUiPage, HeadStatus},
    system::{Html, Swagger},
};

use crate::{Request, Routes, Served, openapi};

/// `/i/status`, and the documents of the endpoints in `served`.
pub fn process(served: &Served) -> Served {
    let endpoints: Arc<[EndpointInfo]> = served.endpoints().cloned().collect();
    Routes::new(endpoints)
        .serve::<GetStatus, _>(status::<GetStatus>)
        .serve::<HeadStatus, _>(status::<HeadStatus>)
        .serve::<GetSwagger, _>(swagger)
        .serve::<GetSwaggerUi, _>(swagger_ui::<GetSwaggerUi>)
        .serve::<GetSwaggerUiPage, _>(swagger_ui::<GetSwaggerUiPage>)
        .done()
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
