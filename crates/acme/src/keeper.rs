//! The certificate that is kept: there from the start on, and renewed for as long as the process runs.

use std::{fs, sync::Arc, time::Duration};

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
    judge::{self, Need, Refusal},
    kept::{kept, usable},
    limits,
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
    /// What was issued and could not be written. To order it again would cost one of the few that a server issues in a week.
    unwritten: Mutex<Option<Issued>>,
    metrics: Metrics,
}

/// What looks at the file of the certificate found.
#[derive(Default)]
struct Looks {
    /// The last certificate that was in it.
    known: Option<Certificate>,
    /// How often in a row it could not be read. Failures of orders are counted beside them.
    failures: u32,
    /// How often in a row it could be read, and had no certificate.
    damaged: u32,
}

/// A certificate that was issued, read back: chain and key belong together and are of a kind that we use.
struct Issued {
    obtained: Obtained,
    leaf: Certificate,
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
        Ok(Self { parts, client, account: Mutex::new(None), unwritten: Mutex::new(None), metrics: Metrics::new() })
    }

    /// Shows expiry and failures in a registry.
    pub fn register_metrics(&self, registry: &Registry) {
        self.metrics.register(registry);
    }

    /// Whether there is a certificate already.
    ///
    /// # Errors
    /// [`AcmeError::Refused`] where it cannot be used in the way that it is configured, [`AcmeError::Damaged`] and
    /// [`AcmeError::File`] where it cannot be read.
    pub fn is_there(&self) -> Result<bool, AcmeError> {
        let Some(leaf) = kept(&self.parts.settings)? else {
            self.metrics.awaits();
            return Ok(false);
        };
        usable(&self.parts.settings, &leaf)?;
        Ok(true)
    }

    /// Comes back once there is a certificate, which is at once where one is kept, even one that has expired: renewal
    /// follows. Where there is none, or the one that is kept cannot be read, it is tried again and again, each failure in
    /// the log.
    ///
    /// # Errors
    /// The certificate cannot be used in the way that it is configured; it is kept, so that starting again costs the ACME
    /// server nothing.
    pub async fn ensure(&self) -> Result<(), Refusal> {
        let settings = &self.parts.settings;
        let mut failures = 0;
        let leaf = loop {
            match kept(settings) {
                Ok(Some(leaf)) => break leaf,
                Ok(None) => {
                    tracing::info!(
                        directory = settings.directory,
                        names = settings.all_names().join(", "),
                        "there is no certificate yet: asking for one; other backends cannot connect before it is there"
                    );
                    break self.first().await;
                }
                Err(error) => self.unreadable(&error, &mut failures).await,
            }
        };
        usable(settings, &leaf)?;
        self.metrics.arrived();
        Ok(())
    }

    /// Renews the certificate before the last third of its time, again and again. What cannot be used never replaces what
    /// is there. No other is asked for because the one that is kept cannot be read at the moment, unless its file stays
    /// damaged until it would be due; nor soon after the last came, whatever the clock and the files say: a server issues
    /// few in a week. Runs until it is dropped.
    pub async fn renew(&self) {
        let Parts { clock, rng, settings, .. } = &self.parts;
        let names = settings.all_names();
        let mut failures = 0;
        let mut looks = Looks::default();
        let mut lead = None;
        loop {
            let (leaf, wrong) = match kept(settings) {
                Ok(leaf) => {
                    looks = Looks { known: leaf.clone(), ..Looks::default() };
                    (leaf, None)
                }
                Err(error) => {
                    looks.damaged = if matches!(error, AcmeError::Damaged { .. }) { looks.damaged + 1 } else { 0 };
                    (looks.known.clone().filter(|_| looks.damaged >= limits::DAMAGED_LOOKS), Some(error))
                }
            };
            if let (None, Some(error)) = (&leaf, &wrong) {
                self.unreadable(error, &mut looks.failures).await;
                continue;
            }
            if let Some(leaf) = &leaf {
                let lead = *lead.get_or_insert_with(|| schedule::lead(leaf.not_before, leaf.not_after, rng.as_ref()));
                let now = clock.now();
                if let Need::None { due } = judge::need(leaf, &names, now + lead) {
                    if let Some(error) = &wrong {
                        self.unreadable(error, &mut looks.failures).await;
                        continue;
                    }
                    tokio::time::sleep(schedule::sleep(now, due - lead).max(LEAST_SLEEP)).await;
                    continue;
                }
            }
            match self.successor().await {
                Ok(leaf) => {
                    failures = 0;
                    lead = None;
                    tracing::info!(until = %leaf.not_after, "the certificate was renewed");
                    self.rest(&leaf).await;
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

    /// The least pause after a certificate came. The clock is looked at now and then: a machine that slept has less left.
    async fn rest(&self, leaf: &Certificate) {
        let least = || schedule::rest(self.parts.clock.now(), leaf.not_before, leaf.not_after);
        let mut left = least();
        while !left.is_zero() {
            let step = left.min(limits::LOOK);
            tokio::time::sleep(step).await;
            left = (left - step).min(least());
        }
    }

    /// The certificate that is kept cannot be read, which may pass.
    async fn unreadable(&self, error: &AcmeError, failures: &mut u32) {
        let outcome = self.count(error, failures);
        let pause = schedule::pause(outcome, self.parts.rng.as_ref());
        tracing::error!(
            "the certificate that is kept cannot be read, and no other is asked for: {}; next try in {} s",
            chain_of(error),
            pause.as_secs()
        );
        tokio::time::sleep(pause).await;
    }

    /// The first certificate. It is kept whatever it is good for: whether it can be used is decided at every start.
    async fn first(&self) -> Certificate {
        let mut failures = 0;
        loop {
            let kept = match self.issued().await {
                Ok(issued) => self.keep(issued).await,
                Err(error) => Err(error),
            };
            let error = match kept {
                Ok(leaf) => {
                    tracing::info!(until = %leaf.not_after, issuer = leaf.issuer, "a certificate was issued");
                    return leaf;
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
        let issued = self.issued().await?;
        judge::judge(&issued.leaf, &settings.all_names(), settings.shared, &settings.infra)?;
        self.keep(issued).await
    }

    /// What could not be written yet, while it is good, or what is issued now.
    async fn issued(&self) -> Result<Issued, AcmeError> {
        let unwritten = self.unwritten.lock().await.take();
        match unwritten.filter(|issued| self.parts.clock.now() < issued.leaf.not_after) {
            Some(issued) => Ok(issued),
            None => self.obtain().await,
        }
    }

    async fn obtain(&self) -> Result<Issued, AcmeError> {
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
        let identity = Identity::from_pem(Role::Server, texts.0, texts.1)
            .map_err(|source| AcmeError::Unreadable { directory: settings.directory.clone(), source })?;
        let leaf = identity.leaf().clone();
        Ok(Issued { obtained, leaf })
    }

    /// Writes what was issued. Where that fails it is held, and the next try writes it.
    async fn keep(&self, issued: Issued) -> Result<Certificate, AcmeError> {
        let file = self.parts.settings.certificate();
        let Obtained { chain, key } = &issued.obtained;
        let text = Zeroizing::new(format!("{}{}", ending(chain), key.as_str()));
        if let Err(source) = files::replace(&file, text.as_bytes(), Access::Secret) {
            *self.unwritten.lock().await = Some(issued);
            return Err(AcmeError::Unwritten { file, source });
        }
        self.metrics.obtained();
        Ok(issued.leaf)
    }

    fn count(&self, error: &AcmeError, failures: &mut u32) -> Outcome {
        self.metrics.failed();
        *failures = failures.saturating_add(1);
        if matches!(error, AcmeError::Refused(_)) { Outcome::Refused } else { Outcome::Failed(*failures) }
    }
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tls::issue::{Authority, AuthorityRequest, LeafRequest, Validity};
    use tokio::time::timeout;
    use types::{ManualClock, SeededRng, Timestamp};

    use super::*;
    use crate::limits::FIRST_PAUSE;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A keeper whose ACME server nobody reaches, and what was issued before.
    fn unreachable(folder: &TempDir) -> (Keeper, Arc<ManualClock>, Issued) {
        let now = Timestamp::from_seconds(1_800_000_000);
        let authority = Authority::root(&AuthorityRequest::new("CA", Validity::starting(now, 10 * HOUR))).unwrap();
        let issued = authority.issue(&LeafRequest::new("federator.a.example", Validity::starting(now, HOUR))).unwrap();
        let leaf = issued.identity(Role::Server).unwrap().leaf().clone();
        let obtained = Obtained { chain: issued.chain_pem(), key: Zeroizing::new(issued.key_pem().to_owned()) };
        let ca = folder.path().join("ca.pem");
        fs::write(&ca, authority.certificate_pem()).unwrap();
        let clock = Arc::new(ManualClock::at(now));
        let keeper = Keeper::new(Parts {
            settings: Settings {
                directory: "https://127.0.0.1:1/dir".into(),
                email: None,
                infra: "federator.a.example".parse().unwrap(),
                names: Vec::new(),
                ca: vec![ca],
                folder: folder.path().join("acme"),
                shared: false,
            },
            challenges: Challenges::default(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            rng: Arc::new(SeededRng::new(1)),
        });
        (keeper.unwrap(), clock, Issued { obtained, leaf })
    }

    /// Lets nobody write there, whoever he is.
    fn obstruct(keeper: &Keeper) {
        let folder = &keeper.parts.settings.folder;
        fs::remove_dir_all(folder).unwrap();
        fs::write(folder, "").unwrap();
    }

    fn clear(keeper: &Keeper) {
        let folder = &keeper.parts.settings.folder;
        fs::remove_file(folder).unwrap();
        fs::create_dir(folder).unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_held_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, _, issued) = unreachable(&folder);
        let key = issued.obtained.key.clone();
        obstruct(&keeper);
        let error = keeper.keep(issued).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
        let error = keeper.successor().await.unwrap_err();
        assert!(matches!(error, AcmeError::Unwritten { .. }), "nobody is asked for another: {error}");
        clear(&keeper);
        // At once: the server is not asked.
        let leaf = timeout(FIRST_PAUSE / 2, keeper.first()).await.expect("it is written");
        assert_eq!(kept(&keeper.parts.settings).unwrap().unwrap().not_after, leaf.not_after);
        assert!(fs::read_to_string(keeper.parts.settings.certificate()).unwrap().contains(key.as_str()));
        assert!(keeper.unwritten.lock().await.is_none(), "it is not written twice");
    }

    #[tokio::test]
    async fn what_is_over_by_then_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, clock, issued) = unreachable(&folder);
        obstruct(&keeper);
        keeper.keep(issued).await.unwrap_err();
        clear(&keeper);
        clock.advance(2 * HOUR);
        let error = keeper.successor().await.unwrap_err();
        assert!(matches!(error, AcmeError::Server { .. }), "it asks for another: {error}");
        assert!(!keeper.parts.settings.certificate().exists());
    }

    /// The certificate as it would be kept.
    fn text(issued: &Issued) -> String {
        format!("{}{}", issued.obtained.chain, issued.obtained.key.as_str())
    }

    /// Whether nobody was asked for a certificate: the first that is asked for is the one that was not written yet.
    async fn nobody_asked(keeper: &Keeper) -> bool {
        keeper.unwritten.lock().await.is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_at_the_moment_is_not_ordered_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, clock, issued) = unreachable(&folder);
        let file = keeper.parts.settings.certificate();
        let good = text(&issued);
        *keeper.unwritten.lock().await = Some(issued);
        fs::write(&file, &good[..200]).unwrap();
        let renewing = keeper.renew();
        tokio::pin!(renewing);
        assert!(timeout(10 * FIRST_PAUSE, &mut renewing).await.is_err(), "it goes on");
        assert!(nobody_asked(&keeper).await);
        let tries = keeper.metrics.failures();
        assert!((2..10).contains(&tries), "{tries}: each is counted, with pauses between");
        fs::write(&file, &good).unwrap();
        assert!(timeout(10 * HOUR, &mut renewing).await.is_err());
        assert!(nobody_asked(&keeper).await, "it is not due");
        assert!(keeper.metrics.failures() - tries <= 1, "and it is read");
        clock.advance(HOUR - Duration::from_secs(60));
        assert!(timeout(10 * HOUR, &mut renewing).await.is_err());
        assert!(!nobody_asked(&keeper).await, "but once it is");
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_whose_file_stays_damaged_is_renewed_when_it_is_due() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, clock, issued) = unreachable(&folder);
        let file = keeper.parts.settings.certificate();
        fs::write(&file, text(&issued)).unwrap();
        *keeper.unwritten.lock().await = Some(issued);
        let renewing = keeper.renew();
        tokio::pin!(renewing);
        assert!(timeout(FIRST_PAUSE, &mut renewing).await.is_err(), "it goes on");
        fs::write(&file, "half of it").unwrap();
        assert!(timeout(20 * HOUR, &mut renewing).await.is_err());
        assert!(nobody_asked(&keeper).await, "it is not due");
        let error = kept(&keeper.parts.settings).unwrap_err().to_string();
        assert!(error.contains("federation.pem") && error.contains("move the file away"), "{error}");
        clock.advance(HOUR - Duration::from_secs(60));
        assert!(timeout(10 * HOUR, &mut renewing).await.is_err());
        assert!(!nobody_asked(&keeper).await, "but once it is");
        assert!(kept(&keeper.parts.settings).unwrap().is_some(), "and the file is whole again");
    }

    /// Long outages of the disk do not make the first tries of an order rare.
    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_is_no_failure_of_an_order() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, clock, issued) = unreachable(&folder);
        let file = keeper.parts.settings.certificate();
        fs::create_dir(&file).unwrap();
        let renewing = keeper.renew();
        tokio::pin!(renewing);
        assert!(timeout(100 * HOUR, &mut renewing).await.is_err(), "it goes on");
        fs::remove_dir(&file).unwrap();
        fs::write(&file, text(&issued)).unwrap();
        assert!(timeout(10 * HOUR, &mut renewing).await.is_err());
        let tries = keeper.metrics.failures();
        clock.advance(HOUR - Duration::from_secs(60));
        // It is looked at within the hour, then nobody is there: at once, and after half a minute and a minute.
        assert!(timeout(limits::LOOK + 4 * FIRST_PAUSE, &mut renewing).await.is_err());
        let tries = keeper.metrics.failures() - tries;
        assert!((2..).contains(&tries), "{tries}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_certificate_is_awaited_while_what_is_kept_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, _, issued) = unreachable(&folder);
        let file = keeper.parts.settings.certificate();
        let good = text(&issued);
        *keeper.unwritten.lock().await = Some(issued);
        fs::create_dir(&file).unwrap();
        let awaiting = keeper.ensure();
        tokio::pin!(awaiting);
        assert!(timeout(10 * FIRST_PAUSE, &mut awaiting).await.is_err(), "it goes on");
        assert!(nobody_asked(&keeper).await);
        fs::remove_dir(&file).unwrap();
        fs::write(&file, &good).unwrap();
        timeout(HOUR, awaiting).await.expect("it is read").unwrap();
        assert!(nobody_asked(&keeper).await);
    }

    #[tokio::test(start_paused = true)]
    async fn soon_after_a_certificate_came_no_other_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, clock, issued) = unreachable(&folder);
        let again = || {
            let Obtained { chain, key } = &issued.obtained;
            let obtained = Obtained { chain: chain.clone(), key: key.clone() };
            Some(Issued { obtained, leaf: issued.leaf.clone() })
        };
        // By this clock the next is due as soon as one has come.
        clock.advance(HOUR * 3 / 4);
        *keeper.unwritten.lock().await = again();
        let renewing = keeper.renew();
        tokio::pin!(renewing);
        assert!(timeout(HOUR / 10, &mut renewing).await.is_err(), "it goes on");
        assert!(!nobody_asked(&keeper).await, "the first is asked for at once");
        *keeper.unwritten.lock().await = again();
        assert!(timeout(HOUR / 10, &mut renewing).await.is_err());
        assert!(nobody_asked(&keeper).await, "and no other");
        // Of two hours it has a quarter of an hour left: most of it was over when it came.
        assert!(timeout(HOUR / 10, &mut renewing).await.is_err());
        assert!(!nobody_asked(&keeper).await, "but in time");
        assert_eq!(keeper.metrics.failures(), 0);
    }

    #[tokio::test]
    async fn no_account_is_made_that_cannot_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, ..) = unreachable(&folder);
        obstruct(&keeper);
        let error = account::make(&keeper.parts.settings, keeper.client.clone()).await.err().expect("nobody makes one");
        assert!(matches!(error, AcmeError::File { what: "written", .. }), "it is not asked for: {error}");
        clear(&keeper);
        let error = account::make(&keeper.parts.settings, keeper.client.clone()).await.err().expect("nobody is there");
        assert!(matches!(error, AcmeError::Server { .. }), "{error}");
        assert_eq!(fs::read_dir(&keeper.parts.settings.folder).unwrap().count(), 0, "nothing is left behind");
    }
}
