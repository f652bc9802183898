//! The asynchronous runtime, and the signals that end a command.

use std::{
    future::{Future, pending},
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use backend::{
    Notify,
    config::{Log, Telemetry},
    logging,
    telemetry::{self, Exporter},
};
use tokio::sync::watch;
use types::Domain;

use crate::output;

/// Runs a command to its end.
pub fn block_on(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(command)
}

/// Starts logging, and gives what sends traces where they are exported.
pub fn start_log(log: &Log, telemetry: &Telemetry, domain: Option<&Domain>) -> Result<Option<Exporter>> {
    let parts = telemetry.otlp.as_ref().map(|collector| telemetry::start(collector, telemetry.share, domain));
    let (spans, exporter) = parts.unzip();
    logging::start_with(log, spans)?;
    Ok(exporter)
}

/// Runs something that serves until it is asked to end. Asked twice, what is still open is cut; where there is a
/// `drain_delay`, for which `stop` goes on taking requests, the second time ends that delay and the third one cuts. On SIGHUP
/// it is to read its files again. The supervisor is told of all that, and of what `ready` gives: what is served, now and later. The exporter
/// ends after it, and sends its last spans.
pub fn serve<N>(
    drain_delay: Duration,
    exporter: Option<Exporter>,
    start: impl Future<Output = Result<N, backend::StartError>>,
    ready: impl FnOnce(&N) -> watch::Receiver<&'static str>,
    mut reload: impl AsyncFnMut(&mut N),
    stop: impl AsyncFnOnce(N, Hurry),
) -> Result<ExitCode> {
    block_on(async move {
        let ending = Ending::watch()?;
        let mut reloading = Reloading::watch()?;
        let notify = Arc::new(Notify::from_environment());
        let exporting = exporter.map(Exporter::spawn);
        let mut node = tokio::select! {
            node = start => node?,
            () = ending.asked() => return Ok(ending.interrupted()),
        };
        let mut status = ready(&node);
        notify.ready(*status.borrow_and_update());
        let supervisor = Arc::clone(&notify);
        tokio::spawn(async move { supervisor.live().await });
        loop {
            tokio::select! {
                () = ending.asked() => break,
                () = reloading.asked() => {
                    notify.reloading();
                    // What is asked for the files' sake may be silent, and the end is not to wait for it.
                    tokio::select! {
                        () = ending.asked() => break,
                        () = reload(&mut node) => notify.ready(*status.borrow_and_update()),
                    }
                }
                // Once nothing changes it any more this says nothing.
                Ok(()) = status.changed() => notify.ready(*status.borrow_and_update()),
            }
        }
        notify.stopping(drain_delay);
        let cutting = if drain_delay.is_zero() {
            tracing::info!("stopping once open requests are answered; the next signal cuts them");
            2
        } else {
            tracing::info!("stopping; the next signal ends the drain_delay, the one after it cuts open requests");
            3
        };
        let hurrying = ending.clone();
        let hurry: Hurry = Box::pin(async move { hurrying.asked_times(2).await });
        let stopped = async {
            stop(node, hurry).await;
            if let Some(exporting) = exporting {
                exporting.finish().await;
            }
        };
        tokio::select! {
            () = stopped => Ok(ExitCode::SUCCESS),
            () = ending.asked_times(cutting) => {
                tracing::warn!("asked again: open requests are cut");
                Ok(ending.status())
            }
        }
    })
}

/// Resolves once whoever asks to end does not want to wait.
pub type Hurry = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The wishes that files be read again: SIGHUP. From the moment at which this exists the signal ends nothing.
#[cfg(unix)]
struct Reloading(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Reloading {
    fn watch() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::hangup()).context("listening to signals")?))
    }

    /// Resolves once it was asked; wishes that come meanwhile are one.
    async fn asked(&mut self) {
        if self.0.recv().await.is_none() {
            pending().await
        }
    }
}

#[cfg(not(unix))]
struct Reloading;

#[cfg(not(unix))]
impl Reloading {
    fn watch() -> Result<Self> {
        Ok(Self)
    }

    async fn asked(&mut self) {
        pending().await
    }
}

/// The wishes that the process end: Ctrl-C, or SIGTERM from a supervisor. None is lost from the moment at which this
/// exists.
#[derive(Clone)]
pub struct Ending(watch::Receiver<Wishes>);

#[derive(Clone, Copy, Default)]
struct Wishes {
    count: usize,
    /// The exit status after the last of them: 128 and the number of the signal, as shells have it.
    status: u8,
}

const INTERRUPTED: u8 = 130;
#[cfg(unix)]
const TERMINATED: u8 = 143;

impl Ending {
    /// Listens from now on. To be called in a runtime.
    pub fn watch() -> Result<Self> {
        let mut signals = Signals::listen().context("listening to signals")?;
        let (sender, receiver) = watch::channel(Wishes::default());
        tokio::spawn(async move {
            loop {
                let status = signals.next().await;
                sender.send_modify(|wishes| *wishes = Wishes { count: wishes.count + 1, status });
            }
        });
        Ok(Self(receiver))
    }

    /// Resolves once it was asked.
    pub async fn asked(&self) {
        self.asked_times(1).await;
    }

    /// Resolves once it was asked twice: nothing is to be waited for any more.
    pub async fn asked_again(&self) {
        self.asked_times(2).await;
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.0.borrow().count > 0
    }

    /// How a command ends that was kept from its work.
    pub fn interrupted(&self) -> ExitCode {
        output::note("interrupted");
        self.status()
    }

    /// The exit status of a command that a signal ended.
    pub fn status(&self) -> ExitCode {
        ExitCode::from(self.0.borrow().status)
    }

    async fn asked_times(&self, count: usize) {
        if self.0.clone().wait_for(|wishes| wishes.count >= count).await.is_err() {
            pending().await
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> u8 {
        tokio::select! {
            Some(()) = self.interrupt.recv() => INTERRUPTED,
            Some(()) = self.terminate.recv() => TERMINATED,
            else => pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> u8 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => INTERRUPTED,
            Err(_) => pending().await,
        }
    }
}
