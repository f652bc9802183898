//! Holds the declared JSON types against examples from elsewhere.
//!
//! ```text
//! shapes list             every type, by upstream's name, one a line
//! shapes roundtrip NAME   reads one document a line and writes what the type makes of it, one a line
//! ```
//!
//! A document that is none of the type becomes `{"error": …}`, and the exit status 1 at the end. An unknown name or
//! command is status 2.

use std::{
    io::{self, BufRead, Write},
    process::ExitCode,
};

/// A type's name, and how it reads a document and writes it again.
type Shape = (&'static str, fn(&str) -> Result<String, String>);

/// The types of every crate that declares some.
fn shapes() -> impl Iterator<Item = Shape> {
    let crates = [federation_api::shapes::SHAPES, public_api::shapes::SHAPES];
    crates.into_iter().flatten().map(|shape| (shape.name, shape.roundtrip))
}

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let status = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => {
            for (name, _) in shapes() {
                writeln!(out, "{name}")?;
            }
            ExitCode::SUCCESS
        }
        ["roundtrip", wanted] => match shapes().find(|(name, _)| *name == wanted) {
            Some((_, roundtrip)) => documents(io::stdin().lock(), &mut out, roundtrip)?,
            None => {
                eprintln!("no type is called {wanted}; `list` shows those there are");
                ExitCode::from(2)
            }
        },
        _ => {
            eprintln!("usage: shapes list | shapes roundtrip NAME");
            ExitCode::from(2)
        }
    };
    out.flush()?;
    Ok(status)
}

fn documents(
    mut from: impl BufRead,
    mut to: impl Write,
    roundtrip: fn(&str) -> Result<String, String>,
) -> io::Result<ExitCode> {
    let mut status = ExitCode::SUCCESS;
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(status);
        }
        let result = std::str::from_utf8(&line).map_err(|error| error.to_string()).and_then(roundtrip);
        match result {
            Ok(document) => writeln!(to, "{document}")?,
            Err(error) => {
                writeln!(to, "{}", serde_json::json!({ "error": error }))?;
                status = ExitCode::from(1);
            }
        }
        // Whoever asks one document at a time gets his answer at once.
        to.flush()?;
    }
}
