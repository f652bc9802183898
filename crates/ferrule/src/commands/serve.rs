//! `ferrule serve`: a real backend.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Result;
use backend::{Node, Surroundings, config};

use super::runtime;

/// Runs a backend until it is asked to end; asked twice, it cuts what is still open.
pub fn run(file: &Path) -> Result<ExitCode> {
    let config = config::load(file, std::env::vars_os())?;
    let exporter = runtime::start_log(&config.log, &config.telemetry, Some(&config.domain))?;
    let ready = |node: &Node| {
        tracing::info!(
            domain = %node.domain(),
            edge = %node.edge(),
            internal = %node.internal(),
            federation = node.federation().map(tracing::field::display),
            components = node.components().map(tracing::field::display),
            "ready"
        );
        node.status()
    };
    let drain_delay = Duration::from_secs(config.drain_delay);
    let start = Node::start(config, Surroundings::default());
    runtime::serve(drain_delay, exporter, start, ready, async |node: &mut Node| reload(file, node).await, Node::stop)
}

/// Reads the configuration and the certificates again. What cannot be used changes nothing.
async fn reload(file: &Path, node: &mut Node) {
    tracing::info!("reading the configuration and the certificates again");
    match config::load(file, std::env::vars_os()) {
        Ok(config) => {
            if let Err(error) = node.reload(config).await {
                tracing::error!("{error}");
            }
        }
        Err(error) => tracing::error!("nothing is taken up: {:#}", anyhow::Error::from(error)),
    }
}
