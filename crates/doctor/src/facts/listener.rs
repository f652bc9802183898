//! The own federation listener, as others meet it; and the public address as clients meet it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use backend::client;
use federator::limits::Limits;
use http::{HeaderMap, HeaderValue, Method, Uri};
use tls::Identity;
use types::Domain;

use super::{
    probe::{self, Probe, Reply, Seen, Speaks, Trouble},
    service::{self, Asked, Service},
    site::Site,
};

/// What the own federation listener does.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// How it was reached.
    pub(crate) via: String,
    /// With everything that the backend itself speaks.
    pub(crate) plain: Result<Seen, Trouble>,
    /// With TLS 1.2 and Wire's suites.
    pub(crate) wire12: Result<Seen, Trouble>,
    /// With TLS 1.3.
    pub(crate) only13: Result<Seen, Trouble>,
    /// A call without a client certificate.
    pub(crate) without_certificate: Result<Reply, Trouble>,
    /// The internal API, asked for with our own client certificate where there is one.
    pub(crate) internal: Tried,
}

/// A place where the internal API was asked for, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) place: String,
    /// The answer, or why there is none.
    pub(crate) reply: Result<Reply, String>,
    /// Whether it was named on purpose, so that silence is no good answer.
    pub(crate) asked_for: bool,
}

const H2: &[&[u8]] = &[b"h2"];

impl Listener {
    /// Knocks at the target of the own SRV record that is the infrastructure domain, as others do, or, where none leads
    /// there, at the configured address.
    pub(crate) async fn look_at(
        site: &Site,
        domain: &Domain,
        infra: &str,
        service: &Service,
        identity: Option<&Identity>,
    ) -> Self {
        let (configured, limits) = (site.listen.map(reachable), &site.limits);
        let (via, name, address) = match (service.reached_at(infra), configured) {
            (Some((target, address)), _) => {
                (format!("{} ({address})", target.authority()), target.host.clone(), address)
            }
            (None, Some(address)) => (format!("federation.listen ({address})"), infra.to_owned(), address),
            // Nothing listens at port 0.
            (None, None) => (format!("{infra} by the SRV record"), infra.to_owned(), (Ipv4Addr::LOCALHOST, 0).into()),
        };
        let probe = Probe {
            address,
            name: &name,
            identity: None,
            alpn: H2,
            speaks: Speaks::Everything,
            limits: &limits.outbound,
        };
        let with = |speaks| Probe { speaks, ..probe };
        // Others show a certificate of theirs; ours is the best that there is here.
        let shown = |speaks| Probe { identity, alpn: &[b"h2", b"http/1.1"], ..with(speaks) };
        let (plain, wire12, only13, without_certificate, internal) = tokio::join!(
            async {
                let probe = Probe { identity, ..probe };
                match probe.handshake().await {
                    // A server that has ALPN but not h2 refuses; one without it goes on.
                    Err(Trouble::Tls(_)) => Probe { alpn: &[b"http/1.1"], ..probe }.handshake().await,
                    other => other,
                }
            },
            async { shown(Speaks::Wire12).handshake().await },
            async { shown(Speaks::Only13).handshake().await },
            call(Probe { alpn: &[b"h2", b"http/1.1"], ..probe }, domain),
            status(shown(Speaks::Everything)),
        );
        let internal = Tried { place: format!("the federation listener {via}"), reply: internal, asked_for: false };
        Self { via, plain, wire12, only13, without_certificate, internal }
    }
}

/// A call as a federator makes it.
async fn call(probe: Probe<'_>, origin: &Domain) -> Result<Reply, Trouble> {
    let mut line = probe.open().await?;
    Ok(line.ask(Method::POST, "/federation/brig/api-version", origin_header(origin), b"[]").await)
}

async fn status(probe: Probe<'_>) -> Result<Reply, String> {
    let mut line = probe.open().await.map_err(|trouble| trouble.to_string())?;
    Ok(line.ask(Method::GET, "/i/status", HeaderMap::new(), b"").await)
}

/// The header that says who calls.
pub(super) fn origin_header(origin: &Domain) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(origin.as_str()) {
        headers.insert("wire-origin-domain", value);
    }
    headers
}

/// Asks for the internal API at a URL, as a client outside would.
pub(crate) async fn from_outside(url: &Uri, resolver: &Asked, limits: &Limits) -> Tried {
    let place = url.to_string();
    Tried { reply: asked_outside(url, resolver, limits).await, place, asked_for: true }
}

async fn asked_outside(url: &Uri, resolver: &Asked, limits: &Limits) -> Result<Reply, String> {
    let host = url.host().ok_or("the URL has no host")?;
    let secure = url.scheme_str() != Some("http");
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = match bare.parse::<IpAddr>() {
        Ok(ip) => ip,
        Err(_) => {
            let resolver = resolver.as_ref().map_err(String::clone)?;
            let all = service::addresses(bare, resolver, limits).await?;
            *all.first().ok_or("no address")?
        }
    };
    let path = format!("{}/i/status", url.path().trim_end_matches('/'));
    let address = SocketAddr::new(ip, port);
    if !secure {
        let started = std::time::Instant::now();
        let call = client::Call::get(&client::Target::Tcp(address), path).header(http::header::HOST, host);
        let answer = call.send().await.map_err(|error| error.to_string())?;
        return Ok(probe::answer(answer.status().as_u16(), answer.body().clone(), started.elapsed()));
    }
    let outbound = &limits.outbound;
    let alpn: &[&[u8]] = &[b"h2", b"http/1.1"];
    let probe = Probe { address, name: bare, identity: None, alpn, speaks: Speaks::Everything, limits: outbound };
    let mut line = probe.open().await.map_err(|trouble| trouble.to_string())?;
    Ok(line.ask(Method::GET, &path, HeaderMap::new(), b"").await)
}

/// Where a listener that is bound to all addresses can be reached on this machine.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
