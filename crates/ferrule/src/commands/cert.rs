//! `ferrule cert`: the own federation CA, requests, certificates and their renewal, and a look at any of them.

mod arguments;
mod show;

use std::{
    fs,
    io::{self, Read},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use backend::init::{self, file};
use tls::{
    Certificate, Identity, Renewal, Role, Roots,
    chain::{ChainError, Purpose, verify},
    files::{self, Access},
    issue::{Authority, KeyType, LeafRequest, PrivateKey, SigningRequest, Usage, Validity, certificate_pem},
    renewal_due,
};
use types::{Clock, SystemClock, Timestamp};
use zeroize::Zeroizing;

pub use self::arguments::CertCommand;
use self::arguments::{CaArgs, CaFiles, IssueArgs, Name, RenewArgs, RequestArgs, SignArgs};
use crate::output;

const DAY: Duration = Duration::from_secs(86_400);

/// Carries out a command.
pub fn run(command: &CertCommand) -> Result<ExitCode> {
    let now = SystemClock.now();
    match command {
        CertCommand::Ca(args) => ca(args, now),
        CertCommand::Request(args) => request(args),
        CertCommand::Sign(args) => sign(args, now),
        CertCommand::Issue(args) => issue(args, now),
        CertCommand::Renew(args) => renew(args, now),
        CertCommand::Show(args) => show::run(args, now),
    }
}

fn ca(args: &CaArgs, now: Timestamp) -> Result<ExitCode> {
    let lasts = args.days.map_or(init::CA_LASTS, days);
    let authority = init::federation_ca(&args.domain, now, lasts)?;
    fs::create_dir_all(&args.folder).with_context(|| format!("making {}", args.folder.display()))?;
    let key = args.folder.join(file::CA_KEY);
    let certificate = args.folder.join(file::CA);
    write_pair((&certificate, &authority.certificate_pem()), (&key, &authority.key_pem()), args.force)?;
    output::line(format_args!(
        "{}: give this to the backends you federate with\n{}: signs certificates; secret, best kept offline",
        certificate.display(),
        key.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn request(args: &RequestArgs) -> Result<ExitCode> {
    let names = names(&args.infra, &args.names);
    let key = match args.keep_key {
        true => PrivateKey::from_pem(&read(&args.key)?).with_context(|| args.key.display().to_string())?,
        false => PrivateKey::generate(KeyType::EcdsaP256)?,
    };
    let request = key.request(&names, Usage::Both)?;
    if !args.keep_key {
        write(&args.key, key.to_pem().as_bytes(), Access::Secret, args.force)?;
        output::line(format_args!("{}: the key; secret, it stays here", args.key.display()))?;
    }
    // It can be made again at any time, so it is no loss.
    replace(&args.out, request.pem().as_bytes(), Access::Public)?;
    output::line(format_args!("{}: have this signed for {}", args.out.display(), names.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}

fn sign(args: &SignArgs, now: Timestamp) -> Result<ExitCode> {
    let authority = authority(&args.ca)?;
    let request =
        SigningRequest::from_pem(&read(&args.request)?).with_context(|| args.request.display().to_string())?;
    let names = match args.names.is_empty() {
        true => asked_for(&request).with_context(|| args.request.display().to_string())?,
        false => args.names.iter().map(ToString::to_string).collect(),
    };
    let lasts = args.days.map_or(init::LEAF_LASTS, days);
    let chain = authority.sign(&request, names.clone(), args.roles.usage(), within(&authority, now, lasts)?)?;
    let text: String = chain.iter().map(|der| certificate_pem(der)).collect();
    write(&args.out, text.as_bytes(), Access::Public, args.force)?;
    output::line(format_args!("{}: a certificate for {}", args.out.display(), names.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}

fn issue(args: &IssueArgs, now: Timestamp) -> Result<ExitCode> {
    let authority = authority(&args.ca)?;
    let lasts = args.days.map_or(init::LEAF_LASTS, days);
    let leaf = LeafRequest {
        dns_names: names(&args.infra, &args.names),
        common_name: None,
        usage: args.roles.usage(),
        validity: within(&authority, now, lasts)?,
        key_type: KeyType::EcdsaP256,
    };
    let issued = authority.issue(&leaf)?;
    write_pair((&args.certificate, &issued.chain_pem()), (&args.key, issued.key_pem()), args.force)?;
    output::line(format_args!(
        "{}: a certificate for {}\n{}: its key; secret",
        args.certificate.display(),
        leaf.dns_names.join(", "),
        args.key.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn renew(args: &RenewArgs, now: Timestamp) -> Result<ExitCode> {
    let at = args.certificate.display();
    let key_at = args.key();
    let text = read(&args.certificate)?;
    let old = tls::parsed_certificates(text.as_bytes()).with_context(|| at.to_string())?;
    let Some((_, old)) = old.into_iter().next() else { bail!("{at}: there is no certificate in it") };
    if let Renewal::Fresh { due } = renewal_due(old.not_before, old.not_after, now)
        && !args.force
    {
        output::line(format_args!(
            "{at}: good until {}; renewal is due from {due} on, and nothing was done (--force renews it now)",
            old.not_after
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let key_text = read(&key_at)?;
    let authority = authority(&args.ca)?;
    // It begins before now, as the old one did.
    let as_before = old.not_after.since(old.not_before).saturating_sub(now.since(Validity::starting(now, DAY).from));
    let lasts = args.days.map_or(as_before, days);
    let leaf = successor(&old, within(&authority, now, lasts)?)?;
    let texts = ((&*at.to_string(), text.as_bytes()), (&*key_at.display().to_string(), key_text.as_bytes()));
    let identity = Identity::from_pem(Role::Server, texts.0, texts.1)?;
    issued_by(&authority, &identity, leaf.usage, now).with_context(|| {
        format!("{at} is not by the CA in {}, so partners would not know its successor", args.ca.certificate.display())
    })?;
    let key = match args.keep_key {
        true => PrivateKey::from_pem(&key_text).with_context(|| key_at.display().to_string())?,
        false => PrivateKey::generate(KeyType::EcdsaP256)?,
    };
    let issued = authority.issue_for(&leaf, &key)?;
    if args.certificate == key_at {
        let both = Zeroizing::new(format!("{}{}", issued.chain_pem(), issued.key_pem()));
        replace(&args.certificate, both.as_bytes(), Access::Secret)?;
    } else {
        if !args.keep_key {
            replace(&key_at, issued.key_pem().as_bytes(), Access::Secret)?;
        }
        replace(&args.certificate, issued.chain_pem().as_bytes(), Access::Public)?;
    }
    output::line(format_args!(
        "{at}: renewed for {} until {}; a backend that runs takes it up within seconds",
        leaf.dns_names.join(", "),
        leaf.validity.to
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Holds that this CA issued a certificate, which may have expired since.
fn issued_by(authority: &Authority, identity: &Identity, usage: Usage, now: Timestamp) -> Result<(), ChainError> {
    let roots = Roots::from_pem("", authority.certificate_pem().as_bytes()).unwrap_or_else(|_| Roots::empty());
    let purpose = if usage == Usage::Client { Purpose::ClientAuth } else { Purpose::ServerAuth };
    let leaf = identity.leaf();
    let when = now.clamp(leaf.not_before, leaf.not_after);
    verify(identity.chain(), &roots, purpose, when, None).map(|_| ())
}

/// What is to be issued after a certificate: the same names and usages.
fn successor(old: &Certificate, validity: Validity) -> Result<LeafRequest> {
    ensure!(!old.is_ca, "it is the certificate of a CA; `ferrule cert ca` makes a new one, which every partner needs");
    let usage = match old.purposes.map(|purposes| (purposes.server_auth, purposes.client_auth)) {
        None => Usage::Unrestricted,
        Some((true, true)) => Usage::Both,
        Some((true, false)) => Usage::Server,
        Some((false, true)) => Usage::Client,
        Some((false, false)) => bail!("its extended key usage has neither serverAuth nor clientAuth"),
    };
    let dns_names = old.names();
    ensure!(!dns_names.is_empty(), "it was issued for no name");
    Ok(LeafRequest { dns_names, common_name: None, usage, validity, key_type: KeyType::EcdsaP256 })
}

/// From now for so long, but not longer than the CA's own certificate.
fn within(authority: &Authority, now: Timestamp, lasts: Duration) -> Result<Validity> {
    let validity = Validity::starting(now, lasts);
    let last = authority.not_after()?;
    ensure!(now < last, "the CA's certificate expired on {last}; `ferrule cert ca` makes a new one");
    if validity.to > last {
        output::note(&format!("note: the CA's own certificate ends on {last}, and so does this one"));
    }
    Ok(Validity { to: validity.to.min(last), ..validity })
}

fn authority(ca: &CaFiles) -> Result<Authority> {
    Ok(Authority::root_from_pem(&read(&ca.certificate)?, &read(&ca.key)?)?)
}

fn names(infra: &types::Domain, more: &[Name]) -> Vec<String> {
    let mut names = vec![infra.to_string()];
    names.extend(more.iter().map(ToString::to_string).filter(|name| name != infra.as_str()));
    names
}

/// The names that a request asks for; whoever made it chose their bytes.
fn asked_for(request: &SigningRequest) -> Result<Vec<String>> {
    let names = request.dns_names();
    ensure!(!names.is_empty(), "it asks for no name; say which with --name");
    let checked = |name: &String| {
        let name =
            name.parse::<Name>().map_err(|why| anyhow!("it asks for {name:?} ({why}); say which with --name"))?;
        Ok(name.to_string())
    };
    names.iter().map(checked).collect()
}

fn days(days: u32) -> Duration {
    DAY * days
}

/// Reads a file of PEM.
fn read(path: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(Vec::new());
    fs::File::open(path)
        .and_then(|file| file.take(tls::MAX_PEM_FILE + 1).read_to_end(&mut text))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    ensure!(text.len() as u64 <= tls::MAX_PEM_FILE, "{} is larger than {} bytes", path.display(), tls::MAX_PEM_FILE);
    let text = std::str::from_utf8(&text).with_context(|| format!("{} is no PEM", path.display()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Writes a key and its certificate: neither where one of them is there already, unless it is to be replaced.
fn write_pair(certificate: (&Path, &str), key: (&Path, &str), force: bool) -> Result<()> {
    ensure!(certificate.0 != key.0, "{} cannot be both: name two files", key.0.display());
    if let Some(there) = [key.0, certificate.0].into_iter().find(|path| !force && path.exists()) {
        bail!("{} is there already; nothing is overwritten without --force", there.display());
    }
    write(key.0, key.1.as_bytes(), Access::Secret, force)?;
    write(certificate.0, certificate.1.as_bytes(), Access::Public, force)
}

fn write(path: &Path, contents: &[u8], access: Access, force: bool) -> Result<()> {
    if force {
        return replace(path, contents, access);
    }
    files::create(path, contents, access).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            bail!("{} is there already; nothing is overwritten without --force", path.display())
        }
        _ => Err(error).with_context(|| format!("{} cannot be written", path.display())),
    })
}

fn replace(path: &Path, contents: &[u8], access: Access) -> Result<()> {
    files::replace(path, contents, access).with_context(|| format!("{} cannot be written", path.display()))
}
