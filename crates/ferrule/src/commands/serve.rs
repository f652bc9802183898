//! `ferrule serve`: a real backend.

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use backend::{Node, Surroundings, config};

use super::runtime::{self, Ending};

/// Runs a backend until it is asked to end; asked twice, it cuts what is still open.
pub fn run(file: &Path) -> Result<ExitCode> {
    let config = config::load(file, std::env::vars_os())?;
    backend::logging::start(&config.log)?;
    runtime::block_on(async move {
        let ending = Ending::watch()?;
        let node = tokio::select! {
            node = Node::start(config, Surroundings::default()) => node?,
            () = ending.asked() => return Ok(ending.interrupted()),
        };
        tracing::info!(
            domain = %node.domain(),
            edge = %node.edge(),
            internal = %node.internal(),
            federation = node.federation().map(tracing::field::display),
            "ready"
        );
        ending.asked().await;
        tracing::info!("stopping once open requests are answered; the next signal cuts them");
        tokio::select! {
            () = node.stop() => Ok(ExitCode::SUCCESS),
            () = ending.asked_again() => {
                tracing::warn!("asked again: open requests are cut");
                Ok(ending.status())
            }
        }
    })
}
