//! Key material in files, and its replacement when they change.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::{
    Certificate, Contexts, ContextsHandle, Identity, MAX_PEM_FILE, Problem, Role, Roots, TlsError, connector,
    left_behind::LeftBehind, pem, roles::roles,
};

/// How often files are looked at where nothing else is configured.
pub const DEFAULT_CHECK_INTERVAL: Duration = Duration::from_secs(3);

/// Where a certificate and its key are; both may be the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// PEM: the leaf, then intermediates.
    pub certificate: PathBuf,
    /// PEM: the private key.
    pub key: PathBuf,
}

impl KeyFiles {
    /// Reads both, once.
    ///
    /// # Errors
    /// [`TlsError`]: which file cannot be used, and why.
    pub fn load(&self, role: Role) -> Result<Identity, TlsError> {
        Files::of([self], &RootSources::default()).identity(role, self)
    }

    /// The certificates of the chain with what each says, in the order of the file, whatever the key may be.
    ///
    /// # Errors
    /// [`TlsError`]: the file cannot be read, or has no certificate.
    pub fn chain(&self, role: Role) -> Result<Vec<(CertificateDer<'static>, Certificate)>, TlsError> {
        let files = Files::of([self], &RootSources::default());
        let parsed = files.content(&self.certificate).and_then(pem::parsed_certificates);
        parsed.map_err(|problem| role.bad_certificate(&self.certificate.display().to_string(), problem))
    }
}

impl RootSources {
    /// Reads them all, once.
    ///
    /// # Errors
    /// [`TlsError::InvalidCAStore`]: which file cannot be used, and why.
    pub fn load(&self) -> Result<Roots, TlsError> {
        Files::of([], self).roots(self.system).map_err(Failure::into_error)
    }
}

/// Where the trusted CA certificates are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootSources {
    /// PEM files with any number of certificates each, or folders of them. In a folder, hidden entries and files
    /// without a certificate are passed over.
    pub files: Vec<PathBuf>,
    /// Whether the system's store counts too. It is read again whenever something else is, but not watched.
    pub system: bool,
}

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The certificate shown to callers.
    pub server: KeyFiles,
    /// The certificate shown to those we call.
    pub client: KeyFiles,
    /// Whom to trust.
    pub roots: RootSources,
}

/// What a look at the files found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// They changed and cannot be used; the contexts are as they were, or at least those for calls to others.
    Failed(TlsError),
    /// They are as they were.
    Unchanged,
    /// They changed, and this generation is in use now.
    Updated(u64),
}

/// Makes contexts of files and replaces them when the files' *contents* change, however that came about: written over,
/// replaced, or reached through another link or folder, as Kubernetes swaps mounted secrets. Files are read and
/// compared on an interval, which works on every file system.
///
/// Connections that stand are not touched. Files that cannot be used leave everything as it was, except where the only fault
/// is that others would not believe the new certificate when they are called ([`insisting_on_calls`]): callers are shown
/// it, and those who are called the old one.
///
/// [`insisting_on_calls`]: Self::insisting_on_calls
#[derive(Debug)]
pub struct Reloader {
    sources: Sources,
    /// Whether the certificate shown to those we call must be one that they can believe.
    insisting: bool,
    handle: ContextsHandle,
    seen: Mutex<Seen>,
}

/// What the last look found.
#[derive(Debug)]
struct Seen {
    /// Of the contents of the files, good or bad: a fault of theirs is told once.
    fingerprint: [u8; 32],
    /// Whether they await the next look because something else failed, the system's store.
    pending: bool,
    /// What is shown where [`Sources::server`] is not there yet. Forgotten once it was: whoever has a certificate that is
    /// believed goes on showing it, whatever becomes of its file.
    stand_in: Option<Identity>,
    /// Whether the certificate for calls to others is an old one that awaits a usable successor.
    left_behind: LeftBehind,
}

impl Reloader {
    /// Reads everything for the first time, as generation 1.
    ///
    /// # Errors
    /// [`TlsError`]: which file cannot be used, and why.
    pub fn load(sources: Sources) -> Result<Self, TlsError> {
        Self::start(sources, None)
    }

    /// The same, where the certificate shown to callers is yet to come: until its file is there, `stand_in` takes its
    /// place, in the other role too if that has the same file. It is marked as such ([`Identity::stands_in`]).
    ///
    /// # Errors
    /// [`TlsError`]: which of the other files cannot be used, and why.
    pub fn awaiting(sources: Sources, stand_in: Identity) -> Result<Self, TlsError> {
        Self::start(sources, Some(stand_in.standing_in()))
    }

    fn start(sources: Sources, stand_in: Option<Identity>) -> Result<Self, TlsError> {
        let files = Files::read(&sources);
        let stand_in = stand_in.filter(|_| files.is_missing(&sources.server.certificate));
        let contexts = files.contexts(&sources, stand_in.as_ref(), 1).map_err(Failure::into_error)?;
        let seen =
            Seen { fingerprint: files.fingerprint(), pending: false, stand_in, left_behind: LeftBehind::default() };
        let handle = ContextsHandle::new(contexts);
        Ok(Self { handle, seen: Mutex::new(seen), insisting: false, sources })
    }

    /// The same, now and later with no certificate for calls to others that all of them would refuse. When a later one is
    /// such, the old one goes on being used for calls to others, which the log says daily; all else is taken up.
    ///
    /// # Errors
    /// The one that is there is such.
    pub fn insisting_on_calls(self) -> Result<Self, TlsError> {
        believed_when_calling(&self.handle.contexts(), &self.sources)?;
        Ok(Self { insisting: true, ..self })
    }

    /// The contexts, now and later.
    pub fn handle(&self) -> &ContextsHandle {
        &self.handle
    }

    /// Looks at the files once. Reads files: not for an async task.
    pub fn check_now(&self) -> Check {
        self.check(false)
    }

    /// Reads everything anew, the system's store included, whether or not something changed.
    ///
    /// # Errors
    /// [`TlsError`]: which file cannot be used, and why. The contexts are as they were then.
    pub fn reload(&self) -> Result<u64, TlsError> {
        match self.check(true) {
            Check::Failed(error) => Err(error),
            Check::Unchanged | Check::Updated(_) => Ok(self.handle.contexts().generation),
        }
    }

    /// Looks at the files again and again, for as long as it is polled.
    pub async fn watch(self: Arc<Self>, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let this = Arc::clone(&self);
            if tokio::task::spawn_blocking(move || this.check_now()).await.is_err() {
                error!("federation setup error while updating certificates: the check did not finish");
            }
        }
    }

    fn check(&self, force: bool) -> Check {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let files = Files::read(&self.sources);
        let fingerprint = files.fingerprint();
        let changed = seen.fingerprint != fingerprint;
        if !changed && !seen.pending && !force {
            seen.left_behind.remind(Instant::now());
            return Check::Unchanged;
        }
        let told = seen.pending && !changed && !force;
        seen.fingerprint = fingerprint;
        let generation = self.handle.contexts().generation + 1;
        let stand_in = seen.stand_in.as_ref().filter(|_| files.is_missing(&self.sources.server.certificate));
        let standing_in = stand_in.is_some();
        let read =
            files.contexts(&self.sources, stand_in, generation).and_then(|contexts| Ok(self.with_calls(contexts)?));
        match read {
            Ok((contexts, unusable)) => {
                seen.pending = false;
                if !standing_in {
                    seen.stand_in = None;
                }
                info!(generation, "updating TLS settings");
                self.handle.replace(contexts);
                let Some(error) = unusable else {
                    seen.left_behind = LeftBehind::default();
                    return Check::Updated(generation);
                };
                seen.left_behind = LeftBehind::because(error.clone(), Instant::now());
                Check::Failed(error)
            }
            Err(failure) => {
                seen.pending = matches!(failure, Failure::OfSystem(_));
                let error = failure.into_error();
                if !told {
                    error!(
                        failure = error.name(),
                        "federation setup error while updating certificates, the old ones stay: {error}"
                    );
                }
                Check::Failed(error)
            }
        }
    }
}

impl Reloader {
    /// The contexts, with the old certificate for calls to others where the new one is of no use for them, and why it is.
    /// What only stands in is no old certificate.
    fn with_calls(&self, new: Contexts) -> Result<(Contexts, Option<TlsError>), TlsError> {
        let Some(error) = self.insisting.then(|| believed_when_calling(&new, &self.sources).err()).flatten() else {
            return Ok((new, None));
        };
        let old = self.handle.contexts();
        if old.client.stands_in() {
            return Err(error);
        }
        let connector = connector(&old.client, &new.roots)?;
        Ok((Contexts { connector, client: old.client.clone(), ..new }, Some(error)))
    }
}

fn believed_when_calling(contexts: &Contexts, sources: &Sources) -> Result<(), TlsError> {
    if roles(contexts.client.leaf()).client {
        return Ok(());
    }
    Err(Role::Client.bad_certificate(&sources.client.certificate.display().to_string(), Problem::NotForCalls))
}

/// Why there are no new contexts.
enum Failure {
    /// The files are at fault: nothing changes until one of them does.
    OfFiles(TlsError),
    /// The system's store could not be had, which is no fault of the files and may pass.
    OfSystem(TlsError),
}

impl Failure {
    fn into_error(self) -> TlsError {
        match self {
            Self::OfFiles(error) | Self::OfSystem(error) => error,
        }
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::OfFiles(error)
    }
}

/// The contents of every file at one moment. A file that appears in several places is read once.
struct Files {
    contents: BTreeMap<PathBuf, Result<Zeroizing<Vec<u8>>, Problem>>,
    /// The files of CA certificates, and whether each must have one: an entry of a folder need not.
    roots: Vec<(PathBuf, bool)>,
}

impl Files {
    fn read(sources: &Sources) -> Self {
        Self::of([&sources.server, &sources.client], &sources.roots)
    }

    fn of<'a>(keys: impl IntoIterator<Item = &'a KeyFiles>, roots: &RootSources) -> Self {
        let mut files = Self { contents: BTreeMap::new(), roots: Vec::new() };
        for KeyFiles { certificate, key } in keys {
            files.add(certificate);
            files.add(key);
        }
        for path in &roots.files {
            match folder(path) {
                Some(entries) => {
                    for entry in entries {
                        files.add(&entry);
                        files.roots.push((entry, false));
                    }
                }
                None => {
                    files.add(path);
                    files.roots.push((path.clone(), true));
                }
            }
        }
        files
    }

    fn add(&mut self, path: &Path) {
        if !self.contents.contains_key(path) {
            self.contents.insert(path.to_owned(), read(path));
        }
    }

    fn fingerprint(&self) -> [u8; 32] {
        let mut digest = Context::new(&SHA256);
        let mut part = |bytes: &[u8]| {
            digest.update(&(bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        for (path, content) in &self.contents {
            part(path.as_os_str().as_encoded_bytes());
            match content {
                Ok(bytes) => {
                    part(b"content");
                    part(bytes);
                }
                Err(problem) => {
                    part(b"problem");
                    part(problem.to_string().as_bytes());
                }
            }
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.finish().as_ref());
        fingerprint
    }

    /// With the `stand_in`, if there is one, in the place of the certificate shown to callers.
    fn contexts(&self, sources: &Sources, stand_in: Option<&Identity>, generation: u64) -> Result<Contexts, Failure> {
        let identity = |role, files: &KeyFiles| match stand_in {
            Some(stand_in) if *files == sources.server => Ok(stand_in.clone()),
            _ => self.identity(role, files),
        };
        let server = identity(Role::Server, &sources.server)?;
        let client = identity(Role::Client, &sources.client)?;
        let roots = self.roots(sources.roots.system)?;
        Ok(Contexts::new(generation, server, client, roots)?)
    }

    fn identity(&self, role: Role, files: &KeyFiles) -> Result<Identity, TlsError> {
        let certificate_at = files.certificate.display().to_string();
        let key_at = files.key.display().to_string();
        let certificate =
            self.content(&files.certificate).map_err(|problem| role.bad_certificate(&certificate_at, problem))?;
        let key = self.content(&files.key).map_err(|problem| role.bad_key(&key_at, problem))?;
        Identity::from_pem(role, (&certificate_at, certificate), (&key_at, key))
    }

    fn roots(&self, system: bool) -> Result<Roots, Failure> {
        let mut roots = Roots::empty();
        for (path, must_have_one) in &self.roots {
            let at = path.display().to_string();
            let content = self.content(path).map_err(|problem| TlsError::InvalidCAStore { file: at.clone(), problem });
            match content.and_then(|text| roots.add_pem(&at, text)) {
                Err(TlsError::InvalidCAStore { problem: Problem::NoCertificate, .. }) if !must_have_one => {}
                other => other?,
            }
        }
        if system {
            roots.add_system().map_err(Failure::OfSystem)?;
        }
        if roots.is_empty() {
            let file = self.roots.first().map_or_else(|| "(none)".to_owned(), |(path, _)| path.display().to_string());
            return Err(TlsError::InvalidCAStore { file, problem: Problem::NothingTrusted }.into());
        }
        Ok(roots)
    }

    fn is_missing(&self, path: &Path) -> bool {
        self.content(path).is_err() && !path.exists()
    }

    fn content(&self, path: &Path) -> Result<&[u8], Problem> {
        match self.contents.get(path) {
            Some(Ok(bytes)) => Ok(bytes.as_slice()),
            Some(Err(problem)) => Err(problem.clone()),
            None => Err(Problem::Unreadable("it was not there".to_owned())),
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let unreadable = |error: io::Error| Problem::Unreadable(error.to_string());
    let mut bytes = Zeroizing::new(Vec::new());
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_PEM_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_PEM_FILE {
        return Err(Problem::TooLarge(MAX_PEM_FILE));
    }
    Ok(bytes)
}

/// The files of a folder, without hidden ones; `None` if `path` is no folder. Links are followed.
fn folder(path: &Path) -> Option<Vec<PathBuf>> {
    let entries = fs::read_dir(path).ok()?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Some(files)
}
