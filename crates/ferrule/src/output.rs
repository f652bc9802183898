//! What the command line prints: results on standard output, everything else on standard error, colours only on a
//! terminal.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use owo_colors::{OwoColorize, Style};

/// Prints a line of the result on standard output. Nobody reads any more where the pipe is closed, which is no failure.
///
/// # Errors
/// The line cannot be written.
pub fn line(text: fmt::Arguments<'_>) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Tells something on standard error that is neither result nor failure.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints an error with all its causes.
pub fn error(error: &anyhow::Error) {
    let styled = Styles::of_stderr();
    let mut out = anstream::stderr().lock();
    let _ = writeln!(out, "{} {error:#}", "error:".style(styled.bad));
}

/// The few styles in use. `anstream` drops them where nobody sees colours.
#[derive(Clone, Copy)]
pub struct Styles {
    /// Headings.
    pub strong: Style,
    /// Less important parts.
    pub faint: Style,
    /// It worked.
    pub good: Style,
    /// It did not.
    pub bad: Style,
    /// Names of components.
    pub name: Style,
}

impl Styles {
    /// For standard output.
    pub fn of_stdout() -> Self {
        Self::coloured(std::io::stdout().is_terminal())
    }

    /// For standard error.
    pub fn of_stderr() -> Self {
        Self::coloured(std::io::stderr().is_terminal())
    }

    fn coloured(yes: bool) -> Self {
        let plain = Style::new();
        if !yes {
            return Self { strong: plain, faint: plain, good: plain, bad: plain, name: plain };
        }
        Self {
            strong: plain.bold(),
            faint: plain.dimmed(),
            good: plain.green().bold(),
            bad: plain.red().bold(),
            name: plain.cyan(),
        }
    }
}
