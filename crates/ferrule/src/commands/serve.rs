//! `ferrule serve`: a real backend.

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use backend::{Node, Surroundings, config};

use super::runtime;

/// Runs a backend until it is asked to end.
pub fn run(file: &Path) -> Result<ExitCode> {
    let config = config::load(file, std::env::vars_os())?;
    backend::logging::start(&config.log)?;
    runtime::block_on(async move {
        let node = Node::start(config, Surroundings::default()).await?;
        tracing::info!(
            domain = %node.domain(),
            edge = %node.edge(),
            internal = %node.internal(),
            federation = node.federation().map(tracing::field::display),
            "ready"
        );
        runtime::end_requested().await;
        tracing::info!("stopping");
        node.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}
