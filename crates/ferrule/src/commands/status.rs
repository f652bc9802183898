//! `ferrule status`: whether the process that runs with a configuration serves.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use backend::{
    client::{Call, Target},
    config::{self, Either},
};

use crate::output;

const NOT_RUNNING: &str = "is it running? Its listener does not answer";

/// Asks the internal listener of a backend, or the listener for components of a federator; fails where it does not answer
/// that all is well.
pub async fn run(file: &Path) -> Result<ExitCode> {
    let target = match config::load_either(file, std::env::vars_os())? {
        Either::Backend(config) => reachable(backend::internal_target(&config)),
        Either::Federator(config, _) => reachable(Target::Tcp(config.outward.listen)),
    };
    let answer = Call::get(&target, "/i/status").send().await.context(NOT_RUNNING)?;
    if !answer.status().is_success() {
        bail!("{target} answered with {}", answer.status().as_u16());
    }
    let metrics = Call::get(&target, "/i/metrics").send().await.context(NOT_RUNNING)?;
    let metrics = String::from_utf8_lossy(metrics.body());
    let awaited =
        AWAITED.iter().filter(|(series, _)| metrics.lines().any(|line| line == *series)).map(|(_, told)| *told);
    output::line(format_args!("{}", std::iter::once("serving").chain(awaited).collect::<Vec<_>>().join("; ")))?;
    Ok(ExitCode::SUCCESS)
}

/// What a process that serves may wait for, by the gauge that says so.
const AWAITED: [(&str, &str); 3] = [
    (
        "ferrule_domain_awaited 1",
        "calls are answered with an error until brig says of which domain it is, as no domain is configured",
    ),
    (
        "ferrule_policy_awaited 1",
        "calls are answered with an error until brig says which backends are allowed, and the log says how that goes",
    ),
    (
        "ferrule_acme_awaited 1",
        "federation waits for its first certificate from the ACME server, and the log says how that goes",
    ),
];

/// Where a listener is called that may listen on every address.
fn reachable(target: Target) -> Target {
    match target {
        Target::Tcp(address) if address.ip().is_unspecified() => {
            let loopback = match address.ip() {
                IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
            };
            Target::Tcp(SocketAddr::new(loopback, address.port()))
        }
        other => other,
    }
}
