//! `ferrule demo`: two whole backends on this machine find, trust and answer each other, and turn away those who do
//! not belong.

mod acts;
mod recorder;
mod render;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use indicatif::ProgressBar;

pub use acts::{Act, Stage};
use recorder::Recorder;

use super::{DemoArgs, runtime};

/// Plays the demonstration, and stays up afterwards unless told otherwise.
pub async fn run(args: DemoArgs) -> Result<ExitCode> {
    backend::logging::to_stderr("error")?;
    let recorder = Arc::new(Recorder::default());
    let spinner = progress("starting two backends, a name server and a CA");
    let stage = tokio::select! {
        stage = Stage::set(Arc::clone(&recorder)) => stage?,
        () = runtime::end_requested() => return Ok(ExitCode::FAILURE),
    };
    spinner.finish_and_clear();
    if !args.json {
        render::scenery(&stage);
    }
    let mut played = Vec::new();
    for act in Act::ALL {
        let result = tokio::select! {
            result = stage.play(act, &recorder) => result,
            () = runtime::end_requested() => break,
        };
        if !args.json {
            render::act(played.len() + 1, &result);
        }
        played.push(result);
    }
    let held = played.len() == Act::ALL.len() && played.iter().all(|p| p.held);
    if args.json {
        println!("{}", render::json(&stage, &played, held)?);
    } else {
        render::verdict(held);
    }
    if !args.exit && held {
        if !args.json {
            render::commands(&stage);
        }
        runtime::end_requested().await;
    }
    stage.strike().await;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A spinner on a terminal, nothing elsewhere.
pub fn progress(text: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(text);
    spinner.enable_steady_tick(Duration::from_millis(80));
    spinner
}
