//! What a backend says about itself.

use crate::{Json, access::Anyone, system::VersionInfo};

endpoints! {
    Brig;

    /// Which versions of the client API this backend speaks, and what it is.
    GetVersion "get-version" = GET "/api-version" [0..] {
        auth: Anyone,
        limit: Unlimited,
        answer: Json<VersionInfo>,
    }
}

/// What every process answers, whichever components it is made of.
pub mod process {
    use crate::{
        Empty,
        access::{Anyone, Internal},
        error::common::SERVICE_UNAVAILABLE,
        system::{Html, Metrics, Swagger},
    };

    endpoints! {
        Process;

        /// Whether the process is up.
        GetStatus "get-status" = GET "/i/status" [0..] {
            auth: Internal,
            answer: Empty<200>,
        }

        /// What this backend has counted, for Prometheus: its text format 0.0.4.
        GetMetrics "get-metrics" = GET "/i/metrics" [0..] {
            auth: Internal,
            answer: Metrics,
        }

        /// Whether the process is up.
        HeadStatus "head-status" = HEAD "/i/status" [0..] {
            auth: Internal,
            answer: Empty<200>,
        }

        /// Whether requests should be sent here: not while the process waits for what it cannot serve without, nor once it is
        /// about to end.
        GetReady "get-ready" = GET "/i/ready" [0..] {
            auth: Internal,
            answer: Empty<200>,
            errors: [SERVICE_UNAVAILABLE],
        }

        /// The same, for whoever spreads the requests of clients.
        GetEdgeStatus "get-edge-status" = GET "/status" [0..] {
            auth: Anyone,
            limit: Unlimited,
            answer: Empty<200>,
            errors: [SERVICE_UNAVAILABLE],
        }

        /// The same, without a body.
        HeadEdgeStatus "head-edge-status" = HEAD "/status" [0..] {
            auth: Anyone,
            limit: Unlimited,
            answer: Empty<200>,
            errors: [SERVICE_UNAVAILABLE],
        }

        /// The OpenAPI document of this version. Answered for disabled versions too.
        GetSwagger "swagger-json" = GET "/api/swagger.json" [0..] {
            auth: Anyone,
            limit: Unlimited,
            answer: Swagger,
        }

        /// A page that shows the OpenAPI document. Answered for disabled versions too.
        GetSwaggerUi "swagger-ui" = GET "/api/swagger-ui" [0..] {
            auth: Anyone,
            limit: Unlimited,
            answer: Html,
        }

        /// The same page, under the path that documentation links to.
        GetSwaggerUiPage "swagger-ui-page" = GET "/api/swagger-ui/" [0..] {
            auth: Anyone,
            limit: Unlimited,
            answer: Html,
        }
    }
}
