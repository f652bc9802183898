//! Plain HTTP to other processes of this backend.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Uri, uri};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Builder, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::limits::HEADER_BYTES;

/// A client with connections of its own.
pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// The text is no `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no host and port, such as `brig:8080` or `[::1]:8080`")]
pub struct AddressError(String);

/// Where another process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(uri::Authority);

impl Address {
    /// Reads `host:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        let authority: uri::Authority = text.parse().map_err(|_| error())?;
        let whole = authority.port_u16().is_some_and(|port| port != 0)
            && !authority.host().is_empty()
            && !authority.as_str().contains('@');
        whole.then_some(Self(authority)).ok_or_else(error)
    }

    /// A path there.
    pub(crate) fn at(&self, path: &str) -> Uri {
        let uri = Uri::builder().scheme(uri::Scheme::HTTP).authority(self.0.clone()).path_and_query(path);
        uri.build().unwrap_or_default()
    }

    /// The header `Host` of requests there: without the port that everybody expects (RFC 9110 §7.2).
    pub(crate) fn host(&self) -> HeaderValue {
        let text = if self.0.port_u16() == Some(80) { self.0.host() } else { self.0.as_str() };
        HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How all clients connect.
pub(crate) fn connector(connect: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect));
    connector.set_nodelay(true);
    connector
}

/// What the clients have in common that keep their connections by themselves; `set` adds the rest.
pub(crate) fn client(connect: Duration, set: impl FnOnce(&mut Builder)) -> HttpClient {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(HEADER_BYTES)
        .http2_max_header_list_size(HEADER_BYTES as u32);
    set(&mut builder);
    builder.build(connector(connect))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses() {
        for good in ["brig:8080", "127.0.0.1:8080", "[::1]:8080", "brig.wire.svc.cluster.local:1"] {
            let address = Address::parse(good).unwrap();
            assert_eq!(address.at("/x").to_string(), format!("http://{good}/x"));
            assert_eq!(address.host(), good);
        }
        assert_eq!(Address::parse("brig:80").unwrap().host(), "brig");
        for bad in
            ["", "brig", "brig:", ":8080", "brig:0", "brig:65536", "a b:1", "u@brig:1", "http://brig:1", "::1:8080"]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,40}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(address.to_string(), text);
            }
        }
    }
}
