//! `ferrule serve`: a real backend.

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use backend::{
    Node, Surroundings,
    config::{self, Config},
    logging,
    telemetry::{self, Exporter},
};

use super::runtime;

/// Runs a backend until it is asked to end; asked twice, it cuts what is still open.
pub fn run(file: &Path) -> Result<ExitCode> {
    let config = config::load(file, std::env::vars_os())?;
    let exporter = start_log(&config)?;
    let ready = |node: &Node| {
        tracing::info!(
            domain = %node.domain(),
            edge = %node.edge(),
            internal = %node.internal(),
            federation = node.federation().map(tracing::field::display),
            components = node.components().map(tracing::field::display),
            "ready"
        );
    };
    let (exporting, exported) = tokio::sync::oneshot::channel();
    let start = async move {
        // The exporter wants the runtime; it ends after the node, whose last spans it sends.
        let _ = exporting.send(exporter.map(Exporter::spawn));
        Node::start(config, Surroundings::default()).await
    };
    let stop = async move |node: Node| {
        node.stop().await;
        if let Ok(Some(exporting)) = exported.await {
            exporting.finish().await;
        }
    };
    runtime::serve(start, ready, async |node: &mut Node| reload(file, node).await, stop)
}

/// Starts logging, and what sends traces where they are exported.
fn start_log(config: &Config) -> Result<Option<Exporter>> {
    let telemetry = &config.telemetry;
    let parts = telemetry.otlp.as_ref().map(|collector| telemetry::start(collector, telemetry.share, &config.domain));
    let (spans, exporter) = parts.unzip();
    logging::start_with(&config.log, spans)?;
    Ok(exporter)
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
