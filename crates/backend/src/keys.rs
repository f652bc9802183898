//! The keys of access tokens and cookies, from their files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use zauth::{KeyError, Keyring, PrivateKeys, PublicKeys};

use crate::config::Tokens;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The text is no list of keys, or the configured index has none.
    #[error("{}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// There is no such file.
    #[error("{}: there is no such file; `ferrule init` makes token keys", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads both files.
///
/// # Errors
/// [`KeysError`]
pub fn load(tokens: &Tokens) -> Result<Keyring, KeysError> {
    let wrong = |file: &Path, source| KeysError::Key { file: file.to_owned(), source };
    let private = &tokens.private_keys;
    let public = &tokens.public_keys;
    let private_keys = PrivateKeys::parse(&read(private)?).map_err(|e| wrong(private, e))?;
    let public_keys = PublicKeys::parse(&read(public)?).map_err(|e| wrong(public, e))?;
    Keyring::new(&private_keys, public_keys, tokens.key_index).map_err(|e| wrong(private, e))
}

fn read(file: &Path) -> Result<zeroize::Zeroizing<String>, KeysError> {
    fs::read_to_string(file).map(zeroize::Zeroizing::new).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeysError::Missing(file.to_owned()),
        _ => KeysError::Read { file: file.to_owned(), source },
    })
}
