//! Certificates from an ACME server, while a node starts and runs.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use acme::{AcmeError, Challenges, Keeper, Parts, Settings};
use async_trait::async_trait;
use http::Response;
use prometheus::Registry;
use services::{Body, Outbound, OutboundError, RpcCall};
use tls::{
    Identity, Reloader, Role,
    issue::{self, LeafRequest, Validity},
};
use tokio::sync::watch;
use types::Timestamp;

use crate::{
    config::Acme,
    listener::Bound,
    node::{StartError, Surroundings, bind},
    running::Running,
};

/// What a supervisor is told of a node that has all it wants.
pub(crate) const SERVING: &str = "Serving";

/// And of one that has no certificate yet.
const SERVING_WITHOUT: &str =
    "Serving; federation waits for its first certificate from the ACME server, and the log says how that goes";

/// Port 80 of all addresses.
const CHALLENGES: [SocketAddr; 2] = [
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 80),
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80),
];

/// The first certificate, which is not there yet. Everything but federation goes on without it.
#[derive(Clone)]
pub(crate) struct Awaited {
    keeper: Arc<Keeper>,
    shared: bool,
    status: watch::Sender<&'static str>,
}

/// Answers challenges from now on, and renews the certificate until stopped; where there is none yet, that is what comes
/// back. Does nothing where certificates come from elsewhere.
///
/// # Errors
/// Among others that the certificate which is there cannot be used as it is configured.
pub(crate) async fn keep(
    by_acme: Option<(&Acme, Settings)>,
    surroundings: &Surroundings,
    metrics: &Registry,
    running: &Running,
) -> Result<Option<Awaited>, StartError> {
    let Some((options, settings)) = by_acme else { return Ok(None) };
    let challenges = Challenges::default();
    running.listen(for_challenges(options).await?, challenges.router());
    let shared = settings.shared;
    let keeper = Arc::new(Keeper::new(Parts {
        settings,
        challenges,
        clock: Arc::clone(&surroundings.clock),
        rng: Arc::clone(&surroundings.rng),
    })?);
    keeper.register_metrics(metrics);
    if keeper.is_there()? {
        running.until_stopped(async move { keeper.renew().await });
        return Ok(None);
    }
    Ok(Some(Awaited { keeper, shared, status: watch::Sender::new(SERVING_WITHOUT) }))
}

impl Awaited {
    /// What stands in the certificate's place meanwhile: nobody believes it, and nobody sees it.
    pub(crate) fn stand_in() -> Result<Identity, StartError> {
        let long_over = Validity { from: Timestamp::from_seconds(0), to: Timestamp::from_seconds(1) };
        let leaf = LeafRequest::new("not-there-yet.invalid", long_over);
        let issued = issue::self_signed(&leaf).map_err(AcmeError::from)?;
        Ok(issued.identity(Role::Server)?)
    }

    /// What to tell of the node, now and later.
    pub(crate) fn status(&self) -> watch::Receiver<&'static str> {
        self.status.subscribe()
    }

    /// Obtains it, puts it to use, says that it has `arrived`, and renews it from then on. Ends only where what was issued
    /// cannot be used.
    pub(crate) async fn obtain(self, tls: Arc<Reloader>, arrived: impl FnOnce()) {
        if let Err(error) = self.keeper.ensure().await {
            tracing::error!(
                "federation cannot begin: {error}. Change the configuration and start again; everything else is served"
            );
            return;
        }
        loop {
            let reading = Arc::clone(&tls);
            match tokio::task::spawn_blocking(move || reading.reload()).await {
                Ok(Ok(_)) => break,
                Ok(Err(error)) => tracing::error!("federation cannot begin: {error}; it is tried again"),
                // The runtime ends.
                Err(_) => return,
            }
            tokio::time::sleep(tls::DEFAULT_CHECK_INTERVAL).await;
        }
        arrived();
        self.status.send_replace(SERVING);
        tracing::info!("federation begins: its first certificate is there");
        self.keeper.renew().await;
    }

    /// Comes back once it is put to use.
    pub(crate) async fn arrival(&self) {
        let mut status = self.status.subscribe();
        // An error would be that the sender is gone, which is ours.
        let _ = status.wait_for(|status| *status == SERVING).await;
    }

    /// The way to others, which is closed for as long as there is nothing to show to them.
    pub(crate) fn guarding(&self, outbound: Arc<dyn Outbound>) -> Arc<dyn Outbound> {
        match self.shared {
            true => Arc::new(Guarded { awaited: self.clone(), outbound }),
            false => outbound,
        }
    }
}

/// Calls to others, once there is a certificate.
struct Guarded {
    awaited: Awaited,
    outbound: Arc<dyn Outbound>,
}

#[async_trait]
impl Outbound for Guarded {
    fn turned_away(&self, call: &RpcCall) -> Option<OutboundError> {
        self.closed().err().or_else(|| self.outbound.turned_away(call))
    }

    async fn send(&self, call: RpcCall) -> Result<Response<Body>, OutboundError> {
        self.closed()?;
        self.outbound.send(call).await
    }
}

impl Guarded {
    fn closed(&self) -> Result<(), OutboundError> {
        if *self.awaited.status.borrow() == SERVING {
            return Ok(());
        }
        let why = "its first certificate from the ACME server is not there yet".to_owned();
        Err(OutboundError::Unavailable(why))
    }
}

/// Whether the certificate that is kept, if one is, can be used as it is configured. Gives what is worth knowing.
pub(crate) fn check(by_acme: Option<(&Acme, Settings)>) -> Result<Option<String>, AcmeError> {
    let Some((_, settings)) = by_acme else { return Ok(None) };
    if settings.certificate().exists() {
        return acme::check_kept(&settings).map(|()| None);
    }
    Ok(Some(format!(
        "acme: there is no certificate yet; the first start asks {} for one, and must be reached by port 80 of {}",
        settings.directory,
        settings.all_names().join(", ")
    )))
}

/// Where challenges are answered.
async fn for_challenges(options: &Acme) -> Result<Bound, StartError> {
    const OPTION: &str = "acme.http_listen";
    match options.http_listen {
        Some(address) => bind(OPTION, address).await,
        None => first_of(CHALLENGES, async |address| Bound::tcp(address).await)
            .await
            .map_err(|(address, source)| StartError::Listen { option: OPTION, place: address.to_string(), source }),
    }
}

/// Listens at the first address, or at the second where the first is of a kind that this machine has not.
async fn first_of<T>(
    addresses: [SocketAddr; 2],
    listen: impl AsyncFn(SocketAddr) -> io::Result<T>,
) -> Result<T, (SocketAddr, io::Error)> {
    let [first, second] = addresses;
    match listen(first).await {
        Err(error) if is_not_spoken(&error) => {
            tracing::debug!(%error, "there is no IPv6 on this machine");
            listen(second).await.map_err(|error| (second, error))
        }
        result => result.map_err(|error| (first, error)),
    }
}

/// Whether an address cannot be listened on since its protocol is not there, or switched off.
fn is_not_spoken(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) {
        return true;
    }
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_ipv6_challenges_are_answered_over_ipv4() {
        let no_family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
        let off = rustix::io::Errno::ADDRNOTAVAIL.raw_os_error();
        let [v6, v4] = CHALLENGES;
        for (error, second) in [
            (Some(no_family), true),
            (Some(off), true),
            (Some(rustix::io::Errno::ADDRINUSE.raw_os_error()), false),
            (Some(rustix::io::Errno::ACCESS.raw_os_error()), false),
            (None, false),
        ] {
            let listen = async |address: SocketAddr| match error {
                Some(error) if address.is_ipv6() => Err(io::Error::from_raw_os_error(error)),
                _ => Ok(address),
            };
            let found = first_of(CHALLENGES, listen).await.map_err(|(address, _)| address);
            let expected = match (error, second) {
                (None, _) => Ok(v6),
                (Some(_), true) => Ok(v4),
                (Some(_), false) => Err(v6),
            };
            assert_eq!(found, expected, "{error:?}");
        }
    }
}
