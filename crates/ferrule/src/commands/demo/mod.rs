//! `ferrule demo`: three whole backends on this machine find, trust and answer each other, and turn away those who do
//! not belong.

mod acts;
mod recorder;
mod render;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use indicatif::ProgressBar;

pub use acts::{Act, Stage};
use recorder::Recorder;

use super::{DemoArgs, runtime::Ending};
use crate::output;

/// Plays the demonstration, and stays up afterwards unless told otherwise.
pub async fn run(args: DemoArgs) -> Result<ExitCode> {
    backend::logging::to_stderr("error")?;
    let ending = Ending::watch()?;
    let recorder = Arc::new(Recorder::default());
    let spinner = progress("starting three backends, a name server and a CA");
    let stage = Stage::set(Arc::clone(&recorder), &ending).await;
    spinner.finish_and_clear();
    let Some(stage) = stage? else { return Ok(ending.interrupted()) };
    let status = tokio::select! {
        status = perform(&args, &stage, &recorder) => status,
        // Whatever was not played is not judged.
        () = ending.asked() => Ok(ending.interrupted()),
    };
    if matches!(status, Ok(status) if status == ExitCode::SUCCESS) && !args.exit {
        if !args.json {
            render::commands(&stage);
        }
        ending.asked().await;
    }
    tokio::select! {
        () = stage.strike() => {}
        () = ending.asked_again() => {}
    }
    status
}

/// Plays every act and says whether all went as they must.
async fn perform(args: &DemoArgs, stage: &Stage, recorder: &Recorder) -> Result<ExitCode> {
    if !args.json {
        render::scenery(stage);
    }
    let mut played = Vec::new();
    for act in Act::ALL {
        let result = stage.play(act, recorder).await;
        if !args.json {
            render::act(played.len() + 1, &result);
        }
        played.push(result);
    }
    let held = played.iter().all(|p| p.held);
    if args.json {
        output::line(format_args!("{}", render::json(stage, &played, held)?))?;
    } else {
        render::verdict(held);
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A spinner on a terminal, nothing elsewhere.
pub fn progress(text: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(text);
    spinner.enable_steady_tick(Duration::from_millis(80));
    spinner
}
