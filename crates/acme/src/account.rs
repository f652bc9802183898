//! The account at an ACME server: made once, kept with its key.

use std::{fs, io, path::Path};

use instant_acme::{Account, AccountCredentials, NewAccount};
use serde_json::Value;
use tls::files::{self, Access};
use zeroize::Zeroizing;

use crate::{AcmeError, Settings, error::failed, file, http_client::Client};

/// The account that is kept, or a new one. An account of another server is replaced.
pub(crate) async fn account(settings: &Settings, client: Client) -> Result<Account, AcmeError> {
    let path = settings.folder.join(file::ACCOUNT);
    match kept(settings, &path)? {
        Some(credentials) => {
            let account = Account::builder_with_http(Box::new(client)).from_credentials(credentials).await;
            account.map_err(failed(settings, "asking for the directory"))
        }
        None => make(settings, client).await,
    }
}

/// A new account, which is kept from then on. None is made where it could not be kept: each try would make another, and
/// servers count them.
pub(crate) async fn make(settings: &Settings, client: Client) -> Result<Account, AcmeError> {
    let path = settings.folder.join(file::ACCOUNT);
    try_out(&settings.folder)?;
    let contact: Vec<String> = settings.email.iter().map(|email| format!("mailto:{email}")).collect();
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_http(Box::new(client));
    let made = builder.create(&new, settings.directory.clone(), None).await;
    let (account, credentials) = made.map_err(failed(settings, "making an account"))?;
    let text = serde_json::to_string(&credentials).map_err(|error| unusable(&path, error.to_string()))?;
    tracing::info!(directory = settings.directory, "made an account at the ACME server");
    // It is there, and does for as long as this process runs.
    if let Err(error) = files::replace(&path, Zeroizing::new(text).as_bytes(), Access::Secret) {
        tracing::error!(
            file = %path.display(),
            %error,
            "the account cannot be kept, and the next start makes another one"
        );
    }
    Ok(account)
}

/// Whether there is room for an account in the folder.
fn try_out(folder: &Path) -> Result<(), AcmeError> {
    let file = folder.join(".try-out");
    let written = files::replace(&file, &[b' '; ACCOUNT_BYTES], Access::Secret).and_then(|()| fs::remove_file(&file));
    written.map_err(|source| AcmeError::File { file: folder.to_owned(), what: "written", source })
}

/// More than an account takes in its file.
const ACCOUNT_BYTES: usize = 4096;

fn kept(settings: &Settings, path: &Path) -> Result<Option<AccountCredentials>, AcmeError> {
    let text = match fs::read(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AcmeError::File { file: path.to_owned(), what: "read", source }),
    };
    let wrong = |error: serde_json::Error| unusable(path, told(&error));
    let directory = serde_json::from_slice::<Value>(&text).map_err(wrong)?;
    if directory.get("directory").and_then(Value::as_str) != Some(settings.directory.as_str()) {
        return Ok(None);
    }
    serde_json::from_slice(&text).map(Some).map_err(wrong)
}

/// The library quotes what it read, which may be the key: only the place is told.
fn told(error: &serde_json::Error) -> String {
    format!("line {}, column {} is not as it was written", error.line(), error.column())
}

fn unusable(path: &Path, problem: String) -> AcmeError {
    AcmeError::Account { file: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_another_server_is_none_and_a_damaged_one_an_error_without_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            directory: "https://acme.example/dir".into(),
            email: None,
            infra: "federator.a.example".parse().unwrap(),
            names: Vec::new(),
            ca: Vec::new(),
            folder: folder.path().to_owned(),
            shared: false,
        };
        let path = folder.path().join(file::ACCOUNT);
        assert!(kept(&settings, &path).unwrap().is_none(), "there is none");
        let of = |directory: &str, key: &str| {
            format!(r#"{{"id":"https://x/1","key_pkcs8":"{key}","directory":"{directory}"}}"#)
        };
        fs::write(&path, of("https://other.example/dir", "AAAA")).unwrap();
        assert!(kept(&settings, &path).unwrap().is_none(), "it is another server's");
        fs::write(&path, of("https://acme.example/dir", "AAAA")).unwrap();
        assert!(kept(&settings, &path).unwrap().is_some());
        for damaged in [of("https://acme.example/dir", "!secret!"), "{\"secret".into(), String::new()] {
            fs::write(&path, damaged).unwrap();
            let error = kept(&settings, &path).err().unwrap().to_string();
            assert!(error.contains("account.json") && !error.contains("secret"), "{error}");
        }
    }
}
