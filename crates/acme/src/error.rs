//! What goes wrong, in an operator's words.

use std::{io, path::PathBuf, time::Duration};

use tls::{TlsError, issue::IssueError};

use crate::{Settings, judge::Refusal};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The account that was kept cannot be read.
    #[error("the account in {} cannot be used ({problem}); move the file away to make a new one", file.display())]
    Account {
        /// The file.
        file: PathBuf,
        /// Why.
        problem: String,
    },
    /// The server does not know the account that was kept.
    #[error("{directory} does not know our account any more")]
    AccountGone {
        /// Which server.
        directory: String,
    },
    /// The server refuses, or says something that makes no sense.
    #[error("{directory}: while {doing}: {problem}")]
    Server {
        /// Which server.
        directory: String,
        /// At which step.
        doing: &'static str,
        /// Why.
        problem: String,
    },
    /// The server did not find the answer to its challenge, or not the right one.
    #[error(
        "{directory} could not convince itself that {name} is ours: {problem}; it asks \
         http://{name}/.well-known/acme-challenge/, which must lead to acme.http_listen by port 80"
    )]
    Challenge {
        /// Which server.
        directory: String,
        /// Which name.
        name: String,
        /// What the server says.
        problem: String,
    },
    /// The server offers no HTTP-01 for a name.
    #[error("{directory} offers no HTTP-01 challenge for {name}")]
    NoChallenge {
        /// Which server.
        directory: String,
        /// Which name.
        name: String,
    },
    /// It took too long.
    #[error("{directory} did not come to an end within {} s", within.as_secs())]
    TooSlow {
        /// Which server.
        directory: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// What was issued cannot be read.
    #[error("the certificate that {directory} issued cannot be read")]
    Unreadable {
        /// Which server.
        directory: String,
        /// Why.
        source: TlsError,
    },
    /// What is kept can be read, and is no certificate with its key.
    #[error("{} has no certificate with its key any more; move the file away to have a new one", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// What was issued cannot be used.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file cannot be read or written.
    #[error("{} cannot be {what}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Read or written.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A certificate was issued and cannot be kept.
    #[error(
        "{} cannot be written; the certificate that was issued is held in memory, and is lost if this process ends before \
         it is written",
        file.display()
    )]
    Unwritten {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key or the request for a certificate cannot be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The CAs by which the server is believed cannot be used.
    #[error("acme.ca")]
    Roots(#[from] TlsError),
}

/// What the library says, at that step.
pub(crate) fn failed(settings: &Settings, doing: &'static str) -> impl FnOnce(instant_acme::Error) -> AcmeError {
    const NO_SUCH_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
    let directory = settings.directory.clone();
    move |error| match &error {
        instant_acme::Error::Api(problem) if problem.r#type.as_deref() == Some(NO_SUCH_ACCOUNT) => {
            AcmeError::AccountGone { directory }
        }
        _ => AcmeError::Server { directory, doing, problem: error.to_string() },
    }
}
