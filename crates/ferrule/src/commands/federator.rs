//! `ferrule federator`: calls to and from other backends, for components that run elsewhere.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use backend::{
    FederatorNode, Surroundings,
    config::{self, FederatorOverrides},
};
use clap::Args;
use types::{AddressBlock, Domain};

use super::runtime;

/// Calls to and from other backends, for components elsewhere: in the place of wire-server's federator
#[derive(Debug, Args)]
pub struct FederatorArgs {
    /// The configuration file: our own TOML, or wire-server's federator.yaml as it is
    #[arg(long, value_name = "FILE", env = "FERRULE_CONFIG", default_value = "federator.toml")]
    config: PathBuf,
    /// The backend domain, which wire-server's file does not have; without it calls are made for the domain that the
    /// component names
    #[arg(long)]
    domain: Option<Domain>,
    /// Where the ingress in front calls from, such as `10.0.0.0/8,::1`; who calls from there is believed when he says whose
    /// certificate was shown [default: as in the file; of wire-server's file, loopback and private networks]
    #[arg(long, value_delimiter = ',')]
    proxies: Vec<AddressBlock>,
}

/// Runs it until it is asked to end; asked twice, it cuts what is still open.
pub fn run(args: FederatorArgs) -> Result<ExitCode> {
    let FederatorArgs { config: file, domain, proxies } = args;
    let overrides = FederatorOverrides { domain, proxies };
    let (config, warnings) = config::load_federator(&file, std::env::vars_os(), overrides.clone())?;
    let exporter = runtime::start_log(&config.log, &config.telemetry, config.domain.as_ref())?;
    for warning in warnings {
        tracing::warn!("{}: {warning}", file.display());
    }
    let ready = |node: &FederatorNode| {
        tracing::info!(
            outward = %node.outward(),
            ingress = node.ingress().map(tracing::field::display),
            behind_proxy = node.behind_proxy().map(tracing::field::display),
            "ready"
        );
        node.status()
    };
    let drain_delay = Duration::from_secs(config.drain_delay);
    let start = FederatorNode::start(config, Surroundings::default());
    let reload = async |node: &mut FederatorNode| reload(&file, &overrides, node).await;
    runtime::serve(drain_delay, exporter, start, ready, reload, FederatorNode::stop)
}

/// Reads the configuration, the certificates and the policy again. What cannot be used changes nothing.
async fn reload(file: &Path, overrides: &FederatorOverrides, node: &mut FederatorNode) {
    tracing::info!("reading the configuration, the certificates and the policy again");
    match config::load_federator(file, std::env::vars_os(), overrides.clone()) {
        Ok((config, _)) => {
            if let Err(error) = node.reload(config).await {
                tracing::error!("{error}");
            }
        }
        Err(error) => tracing::error!("nothing is taken up: {:#}", anyhow::Error::from(error)),
    }
}
