//! The certificate in the folder: whether it is there, and what it is good for.

use std::{fs, io};

use tls::{Certificate, Identity, Role};
use zeroize::Zeroizing;

use crate::{
    AcmeError, Settings,
    judge::{self, Refusal},
};

/// Whether the certificate that is kept, if one is, can be used as it is configured.
///
/// # Errors
/// [`AcmeError::Refused`], [`AcmeError::Damaged`], or that it cannot be read.
pub fn check_kept(settings: &Settings) -> Result<(), AcmeError> {
    Ok(kept(settings)?.map_or(Ok(()), |leaf| usable(settings, &leaf))?)
}

/// Whether a node can start with a certificate. A name that it lacks comes with its renewal, which is due at once then.
pub(crate) fn usable(settings: &Settings, leaf: &Certificate) -> Result<(), Refusal> {
    judge::judge(leaf, &[], settings.shared, &settings.infra)
}

/// The leaf that is kept, if one is.
pub(crate) fn kept(settings: &Settings) -> Result<Option<Certificate>, AcmeError> {
    let path = settings.certificate();
    let text = match fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AcmeError::File { file: path, what: "read", source }),
    };
    let at = path.display().to_string();
    match Identity::from_pem(Role::Server, (&at, &text), (&at, &text)) {
        Ok(identity) => Ok(Some(identity.leaf().clone())),
        Err(source) => Err(AcmeError::Damaged { file: path, source }),
    }
}
