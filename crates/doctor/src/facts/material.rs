//! The files of certificates, keys and CA certificates.

use rustls_pki_types::CertificateDer;
use tls::{Certificate, Identity, KeyFiles, Role, Roots, Sources, TlsError};

/// All of them.
pub(crate) struct Material {
    /// What callers are shown.
    pub(crate) server: Side,
    /// What those are shown whom we call; `None` where it is the same.
    pub(crate) client: Option<Side>,
    /// Whom we trust.
    pub(crate) roots: Result<Roots, TlsError>,
}

/// One certificate and its key.
pub(crate) struct Side {
    pub(crate) role: Role,
    /// The file of the certificate.
    pub(crate) at: String,
    /// The certificates of the file.
    pub(crate) chain: Result<Vec<Shown>, TlsError>,
    /// Both together.
    pub(crate) identity: Result<Identity, TlsError>,
}

/// A certificate that is shown to others, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) says: Certificate,
}

impl Material {
    /// Reads everything.
    pub(crate) fn read(sources: &Sources) -> Self {
        let shared = sources.client == sources.server;
        Self {
            server: Side::read(Role::Server, &sources.server),
            client: (!shared).then(|| Side::read(Role::Client, &sources.client)),
            roots: sources.roots.load(),
        }
    }

    /// What those are shown whom we call.
    pub(crate) fn client(&self) -> &Side {
        self.client.as_ref().unwrap_or(&self.server)
    }

    /// Whether that certificate is the one in our file.
    pub(crate) fn is_ours(&self, leaf: &Shown) -> bool {
        self.server.certificates().first().is_some_and(|file| file.der == leaf.der)
    }

    /// Each file once.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Side> {
        std::iter::once(&self.server).chain(&self.client)
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
    fn read(role: Role, files: &KeyFiles) -> Self {
        let shown = |(der, says)| Shown { der, says };
        Self {
            role,
            at: files.certificate.display().to_string(),
            chain: files.chain(role).map(|chain| chain.into_iter().map(shown).collect()),
            identity: files.load(role),
        }
    }

    /// The certificates of the file; none where it cannot be read.
    pub(crate) fn certificates(&self) -> &[Shown] {
        self.chain.as_deref().unwrap_or_default()
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
