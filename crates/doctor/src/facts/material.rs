//! The files of certificates, keys and CA certificates.

use std::{io::ErrorKind, path::Path};

use rustls_pki_types::CertificateDer;
use tls::{Certificate, Identity, KeyFiles, Role, Roots, TlsError};

use super::site::Held;

/// All of them.
pub(crate) struct Material {
    /// What callers are shown; `None` where another process shows something of its own.
    pub(crate) server: Option<Side>,
    /// What those are shown whom we call; `None` where it is the same, or another process's.
    pub(crate) client: Option<Side>,
    /// Whom we trust; `None` where it is another process that trusts.
    pub(crate) roots: Option<Result<Roots, TlsError>>,
}

/// One certificate and its key.
pub(crate) struct Side {
    pub(crate) role: Role,
    /// The file of the certificate.
    pub(crate) at: String,
    /// Where it comes from.
    pub(crate) source: Source,
    /// The certificates of the file.
    pub(crate) chain: Result<Vec<Shown>, TlsError>,
    /// Both together.
    pub(crate) identity: Result<Identity, TlsError>,
}

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The operator.
    File,
    /// An ACME server; the file is Ferrule's own.
    Acme,
    /// The same, before the first one was issued.
    AcmeToCome,
}

/// A certificate that is shown to others, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) says: Certificate,
}

impl Material {
    /// Reads everything.
    pub(crate) fn read(held: &Held) -> Self {
        let Held { sources, serves, by_acme } = held;
        let shared = *serves && sources.client == sources.server;
        let kept = by_acme.then_some(sources.server.certificate.as_path());
        Self {
            server: serves.then(|| Side::read(Role::Server, &sources.server, kept)),
            client: (!shared).then(|| Side::read(Role::Client, &sources.client, kept)),
            roots: Some(sources.roots.load()),
        }
    }

    /// Where all of it is another process's.
    pub(crate) fn elsewhere() -> Self {
        Self { server: None, client: None, roots: None }
    }

    /// What those are shown whom we call.
    pub(crate) fn client(&self) -> Option<&Side> {
        self.client.as_ref().or(self.server.as_ref())
    }

    /// The same, where it can be used.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.client()?.identity.as_ref().ok()
    }

    /// Whether what callers are shown is still to come.
    pub(crate) fn awaits_server(&self) -> bool {
        self.server.as_ref().is_some_and(Side::is_to_come)
    }

    /// Whether what those are shown whom we call is still to come.
    pub(crate) fn awaits_client(&self) -> bool {
        self.client().is_some_and(Side::is_to_come)
    }

    /// Whom we trust, where that can be used.
    pub(crate) fn roots(&self) -> Option<&Roots> {
        self.roots.as_ref()?.as_ref().ok()
    }

    /// Whether that certificate is the one in our file.
    pub(crate) fn is_ours(&self, leaf: &Shown) -> bool {
        self.server.as_ref().and_then(|side| side.certificates().first()).is_some_and(|file| file.der == leaf.der)
    }

    /// Each file once.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Side> {
        self.server.iter().chain(&self.client)
    }

    /// Which roles a side has.
    pub(crate) fn roles(&self, side: &Side) -> &'static [Role] {
        match (&self.client, side.role) {
            (None, _) => &[Role::Server, Role::Client],
            (Some(_), Role::Server) => &[Role::Server],
            (Some(_), Role::Client) => &[Role::Client],
        }
    }
}

impl Side {
    /// Reads one; `kept` is the file that an ACME server's certificates are kept in.
    fn read(role: Role, files: &KeyFiles, kept: Option<&Path>) -> Self {
        let shown = |(der, says)| Shown { der, says };
        let source = match kept {
            Some(kept) if *kept == files.certificate => match files.certificate.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => Source::AcmeToCome,
                _ => Source::Acme,
            },
            _ => Source::File,
        };
        Self {
            role,
            source,
            at: files.certificate.display().to_string(),
            chain: files.chain(role).map(|chain| chain.into_iter().map(shown).collect()),
            identity: files.load(role),
        }
    }

    /// The certificates of the file; none where it cannot be read.
    pub(crate) fn certificates(&self) -> &[Shown] {
        self.chain.as_deref().unwrap_or_default()
    }

    /// Whether it is still to be issued.
    pub(crate) fn is_to_come(&self) -> bool {
        self.source == Source::AcmeToCome
    }

    /// The leaf.
    pub(crate) fn leaf(&self) -> Option<&Certificate> {
        self.certificates().first().map(|shown| &shown.says)
    }
}

/// Certificates as they came in a handshake; those that cannot be read are left out.
pub(crate) fn shown(chain: &[CertificateDer<'static>]) -> Vec<Shown> {
    let read = |der: &CertificateDer<'static>| Some(Shown { says: Certificate::parse(der).ok()?, der: der.clone() });
    chain.iter().filter_map(read).collect()
}
