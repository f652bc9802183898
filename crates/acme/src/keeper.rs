//! The certificate that is kept: there from the start on, and renewed for as long as the process runs.

use std::{fs, io, sync::Arc, time::Duration};

use instant_acme::Account;
use prometheus::Registry;
use tls::{
    Certificate, Identity, Role, Roots,
    files::{self, Access},
};
use tokio::sync::Mutex;
use types::{Clock, Rng};
use zeroize::Zeroizing;

use crate::{
    AcmeError, Challenges, Settings, account,
    http_client::Client,
    judge::{self, Need},
    metrics::Metrics,
    order::{self, Obtained},
    schedule::{self, Outcome},
};

/// What a [`Keeper`] is made of.
#[derive(Clone)]
pub struct Parts {
    /// From whom, for which names, and where to keep it.
    pub settings: Settings,
    /// What answers on port 80.
    pub challenges: Challenges,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, so that backends do not come together.
    pub rng: Arc<dyn Rng>,
}

/// Obtains a certificate and renews it.
pub struct Keeper {
    parts: Parts,
    client: Client,
    account: Mutex<Option<Account>>,
    metrics: Metrics,
}

impl Keeper {
    /// Does nothing yet but read the CA certificates by which the ACME server is believed, and make the folder.
    ///
    /// # Errors
    /// [`AcmeError::Roots`], [`AcmeError::File`]
    pub fn new(parts: Parts) -> Result<Self, AcmeError> {
        let settings = &parts.settings;
        let mut roots = Roots::empty();
        for file in &settings.ca {
            let text = fs::read(file).map_err(|source| AcmeError::File { file: file.clone(), what: "read", source })?;
            roots.add_pem(&file.display().to_string(), &text)?;
        }
        if settings.ca.is_empty() {
            roots.add_system()?;
        }
        private_folder(settings)?;
        let client = Client::new(tls::web_connector(&roots)?);
        Ok(Self { parts, client, account: Mutex::new(None), metrics: Metrics::new() })
    }

    /// Shows expiry and failures in a registry.
    pub fn register_metrics(&self, registry: &Registry) {
        self.metrics.register(registry);
    }

    /// Whether there is a certificate already.
    ///
    /// # Errors
    /// [`AcmeError::Refused`] where it cannot be used in the way that it is configured, [`AcmeError::Unreadable`] and
    /// [`AcmeError::File`] where it cannot be read.
    pub fn is_there(&self) -> Result<bool, AcmeError> {
        let Some(leaf) = kept(&self.parts.settings)? else {
            self.metrics.awaits();
            return Ok(false);
        };
        usable(&self.parts.settings, &leaf).map(|()| true)
    }

    /// Comes back once there is a certificate, which is at once where one is kept, even one that has expired: renewal
    /// follows. Where there is none it is tried again and again, each failure in the log.
    ///
    /// # Errors
    /// [`AcmeError::Refused`] where the certificate cannot be used in the way that it is configured; it is kept, so that
    /// starting again costs the ACME server nothing. [`AcmeError::File`] where it cannot be kept.
    pub async fn ensure(&self) -> Result<(), AcmeError> {
        let settings = &self.parts.settings;
        let leaf = match kept(settings)? {
            Some(leaf) => leaf,
            None => {
                tracing::info!(
                    directory = settings.directory,
                    names = settings.all_names().join(", "),
                    "there is no certificate yet: asking for one; other backends cannot connect before it is there"
                );
                self.first().await?
            }
        };
        usable(settings, &leaf)?;
        self.metrics.arrived();
        Ok(())
    }

    /// Renews the certificate before the last third of its time, again and again. What cannot be used never replaces what
    /// is there. Runs until it is dropped.
    pub async fn renew(&self) {
        let Parts { clock, rng, settings, .. } = &self.parts;
        let names = settings.all_names();
        let mut failures = 0;
        let mut lead = None;
        loop {
            let leaf = kept(settings).unwrap_or_else(|error| {
                tracing::error!("{error}");
                None
            });
            if let Some(leaf) = &leaf {
                let lead = *lead.get_or_insert_with(|| schedule::lead(leaf.not_before, leaf.not_after, rng.as_ref()));
                let now = clock.now();
                if let Need::None { due } = judge::need(leaf, &names, now + lead) {
                    tokio::time::sleep(schedule::sleep(now, due - lead).max(LEAST_SLEEP)).await;
                    continue;
                }
            }
            match self.successor().await {
                Ok(leaf) => {
                    failures = 0;
                    lead = None;
                    tracing::info!(until = %leaf.not_after, "the certificate was renewed");
                }
                Err(error) => {
                    let outcome = self.count(&error, &mut failures);
                    let pause = schedule::pause(outcome, rng.as_ref());
                    let until = leaf.map(|leaf| leaf.not_after.to_string());
                    tracing::error!(
                        until,
                        "the certificate could not be renewed and the old one stays: {}; next try in {} s",
                        chain_of(&error),
                        pause.as_secs()
                    );
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// The first certificate. It is kept whatever it is good for: whether it can be used is decided at every start.
    async fn first(&self) -> Result<Certificate, AcmeError> {
        let mut failures = 0;
        loop {
            let error = match self.obtain().await {
                Ok((obtained, leaf)) => {
                    self.keep(&obtained)?;
                    tracing::info!(until = %leaf.not_after, issuer = leaf.issuer, "a certificate was issued");
                    return Ok(leaf);
                }
                Err(error) => error,
            };
            let outcome = self.count(&error, &mut failures);
            let pause = schedule::pause(outcome, self.parts.rng.as_ref());
            tracing::error!(
                "there is no certificate, and other backends cannot connect: {}; next try in {} s",
                chain_of(&error),
                pause.as_secs()
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn successor(&self) -> Result<Certificate, AcmeError> {
        let settings = &self.parts.settings;
        let (obtained, leaf) = self.obtain().await?;
        judge::judge(&leaf, &settings.all_names(), settings.shared, &settings.infra)?;
        self.keep(&obtained)?;
        Ok(leaf)
    }

    /// What was issued, read back: chain and key belong together and are of a kind that we use.
    async fn obtain(&self) -> Result<(Obtained, Certificate), AcmeError> {
        let Parts { settings, challenges, .. } = &self.parts;
        let mut known = self.account.lock().await;
        let account = match known.take() {
            Some(account) => account,
            None => account::account(settings, self.client.clone()).await?,
        };
        let obtained = match order::obtain(settings, known.insert(account), challenges).await {
            Err(gone @ AcmeError::AccountGone { .. }) => {
                tracing::warn!("{gone}: making a new one");
                *known = None;
                let account = account::make(settings, self.client.clone()).await?;
                order::obtain(settings, known.insert(account), challenges).await?
            }
            other => other?,
        };
        drop(known);
        let at = settings.directory.as_str();
        let texts = ((at, obtained.chain.as_bytes()), (at, obtained.key.as_bytes()));
        let identity = Identity::from_pem(Role::Server, texts.0, texts.1)?;
        let leaf = identity.leaf().clone();
        Ok((obtained, leaf))
    }

    fn keep(&self, obtained: &Obtained) -> Result<(), AcmeError> {
        let path = self.parts.settings.certificate();
        let text = Zeroizing::new(format!("{}{}", ending(&obtained.chain), obtained.key.as_str()));
        files::replace(&path, text.as_bytes(), Access::Secret).map_err(|source| AcmeError::File {
            file: path,
            what: "written",
            source,
        })?;
        self.metrics.obtained();
        Ok(())
    }

    fn count(&self, error: &AcmeError, failures: &mut u32) -> Outcome {
        self.metrics.failed();
        *failures = failures.saturating_add(1);
        if matches!(error, AcmeError::Refused(_)) { Outcome::Refused } else { Outcome::Failed(*failures) }
    }
}

/// Whether the certificate that is kept, if one is, can be used as it is configured.
///
/// # Errors
/// [`AcmeError::Refused`], or that it cannot be read.
pub fn check_kept(settings: &Settings) -> Result<(), AcmeError> {
    kept(settings)?.map_or(Ok(()), |leaf| usable(settings, &leaf))
}

/// Whether a node can start with a certificate. A name that it lacks comes with its renewal, which is due at once then.
fn usable(settings: &Settings, leaf: &Certificate) -> Result<(), AcmeError> {
    Ok(judge::judge(leaf, &[], settings.shared, &settings.infra)?)
}

/// The leaf that is kept, if one is.
fn kept(settings: &Settings) -> Result<Option<Certificate>, AcmeError> {
    let path = settings.certificate();
    let text = match fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AcmeError::File { file: path, what: "read", source }),
    };
    let at = path.display().to_string();
    let identity = Identity::from_pem(Role::Server, (&at, &text), (&at, &text))?;
    Ok(Some(identity.leaf().clone()))
}

/// So that a clock that does not move cannot make it spin.
const LEAST_SLEEP: Duration = Duration::from_millis(100);

/// A chain ends with a line break, whatever the server sends.
fn ending(chain: &str) -> String {
    let chain = chain.trim_end();
    format!("{chain}\n")
}

/// An error with its causes, in one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn private_folder(settings: &Settings) -> Result<(), AcmeError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let failed = |source| AcmeError::File { file: settings.folder.clone(), what: "written", source };
    builder.create(&settings.folder).map_err(failed)
}
