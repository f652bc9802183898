//! Ferrule: a Wire backend in one binary. This crate is the command line and nothing else.

mod commands;
mod output;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = match commands::CommandLine::try_parse() {
        Ok(command) => command,
        Err(error) => return commands::refuse(&error),
    };
    match commands::run(command) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
