//! Errors of federation (`federation.md` §5).

entries! {
    /// The certificate of a calling backend carries no name of the domain that it claims to be.
    AUTHENTICATION_FAILURE = 403 "authentication-failure" "The certificate does not belong to the claimed backend";
    /// DNS failed for another reason than absence.
    DISCOVERY_FAILURE = 400 "discovery-failure" "The remote backend could not be discovered";
    /// Too many calls wait for one remote.
    FEDERATION_BUSY = 503 "federation-busy" "Too many calls are waiting for this backend";
    /// TCP refused, unreachable, or too slow.
    FEDERATION_CONNECTION_REFUSED = 521 "federation-connection-refused" "The remote backend could not be reached";
    /// Strategy or allow list refuse the domain.
    FEDERATION_DENIED = 400 "federation-denied" "Federation with this backend is not allowed";
    /// HTTP/2 broke or was silent.
    FEDERATION_HTTP2_ERROR = 533 "federation-http2-error" "The connection to the remote backend failed";
    /// The remote's answer does not parse.
    FEDERATION_INVALID_BODY = 533 "federation-invalid-body" "The remote backend's answer could not be understood";
    /// The content type of the remote's answer cannot be read.
    FEDERATION_INVALID_CONTENT_TYPE = 533 "federation-invalid-content-type" "The remote backend answered with an unreadable content type";
    /// The federator, a process of its own, refused a component or broke off.
    FEDERATION_LOCAL_ERROR = 500 "federation-local-error" "Internal Server Error";
    /// The federator, a process of its own, cannot be reached.
    FEDERATION_NOT_AVAILABLE = 500 "federation-not-available" "Internal Server Error";
    /// Federation is switched off.
    FEDERATION_NOT_ENABLED = 400 "federation-not-enabled" "no federator configured";
    /// The remote answered with an error.
    FEDERATION_REMOTE_ERROR = 533 "federation-remote-error" "The remote backend answered with an error";
    /// Handshake or certificate failed.
    FEDERATION_TLS_ERROR = 525 "federation-tls-error" "The remote backend could not be authenticated";
    /// A change to the list of remotes that cannot be made; the message says why (`federation.md` §4.1).
    FEDERATION_UNEXPECTED_WAI_ERROR = 533 "federation-unexpected-wai-error" "The list of remote backends cannot be changed in this way";
    /// The remote's answer has another content type.
    FEDERATION_UNSUPPORTED_CONTENT_TYPE = 533 "federation-unsupported-content-type" "The remote backend answered with an unexpected content type";
    /// No common version.
    FEDERATION_VERSION_ERROR = 533 "federation-version-error" "The remote backend speaks no version in common";
    /// No SRV record.
    INVALID_DOMAIN = 422 "invalid-domain" "srv record not found";
    /// A call between backends with another method than POST, or with a query string.
    INVALID_ENDPOINT = 403 "invalid-endpoint" "Only POST without a query string is allowed";
    /// The federator, a process of its own, answered with something that is no error of Wire.
    UNKNOWN_FEDERATION_ERROR = 533 "unknown-federation-error" "The federator failed in an unknown way";
    /// The ingress does not believe the peer's client certificate, or got none; the message says why.
    PEER_NOT_AUTHENTICATED = 400 "authentication-failure" "The client certificate could not be authenticated";
}
