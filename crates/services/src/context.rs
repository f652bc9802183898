//! What accompanies a request on its way through components and backends.

use std::net::IpAddr;

use types::TraceContext;

/// The thread that runs through one request: its id, which crosses backends as `Wire-Origin-Request-Id`, the address it
/// came from, and its place in a trace.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The id of the request, made at the edge where the client sent none.
    pub request_id: String,
    /// Where the client is, for audit.
    pub client_ip: Option<IpAddr>,
    /// The step that causes calls; without one each call begins a trace.
    pub trace: Option<TraceContext>,
}

impl CallContext {
    /// A context for a request of that id.
    pub fn new(request_id: impl Into<String>) -> Self {
        Self { request_id: request_id.into(), client_ip: None, trace: None }
    }
}
