//! Errors that any endpoint may answer.

entries! {
    /// The body is not what it should be; the message says where.
    BAD_REQUEST = 400 "bad-request" "The request could not be understood";
    /// The body is longer than the endpoint allows.
    BODY_TOO_LARGE = 413 "request-entity-too-large" "The request body is too long";
    /// The content encoding is neither gzip nor identity.
    UNSUPPORTED_ENCODING = 415 "unsupported-content-encoding" "Only gzip is understood as content encoding";
    /// An RPC that does not exist.
    NO_ENDPOINT = 404 "no-endpoint" "The requested endpoint does not exist";
    /// The body stopped coming.
    REQUEST_TIMEOUT = 408 "request-timeout" "The request took too long to arrive";
    /// A fault of ours. What happened stands in the log.
    SERVER_ERROR = 500 "server-error" "Server Error";
    /// Something that is needed cannot be reached at the moment.
    SERVICE_UNAVAILABLE = 503 "service-unavailable" "The service is not available at the moment, try again later";
    /// The version of the API does not exist, or is disabled.
    UNSUPPORTED_VERSION = 404 "unsupported-version" "This version of the API is not supported";
}
