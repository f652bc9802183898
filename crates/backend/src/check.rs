//! What can be said of a configuration without starting a node.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
};

use federator::policy::FilePolicy;
use tls::{Reloader, Sources, TlsError, Warning};

use crate::{
    certified::{self, Awaited},
    client::Target,
    config::{Acme, Config, FederatorConfig},
    federator_node, internal_target, keys, logging,
    node::{StartError, Surroundings},
    own_federator, settings,
};

/// Whether a node could start with that configuration, as far as that can be told by looking at the options, the token
/// keys, the certificates, the socket's path and the data folder. The store is not opened and no address is bound.
/// Gives what is allowed but will not work, or is dangerous.
///
/// # Errors
/// What would keep it from starting.
pub fn check(config: &Config) -> Result<Vec<String>, StartError> {
    let surroundings = Surroundings::default();
    logging::check(&config.log)?;
    let keyring = keys::load(&config.tokens)?;
    settings::brig(config)?;
    settings::edge(config, &keyring, &surroundings)?;
    let cannot_write = |source| StartError::Data { folder: config.data.clone(), source };
    writable(&config.data).map_err(cannot_write)?;
    if let Target::Unix(path) = internal_target(config) {
        socket_path(&path)?;
    }
    let mut warnings: Vec<String> = risk(config).into_iter().collect();
    match config.federating() {
        None => warnings.push("federation is off: this backend will talk to no other".into()),
        Some(_) if config.components.is_some() => {}
        Some(federation) => {
            let sources = settings::tls_sources(federation);
            warnings.extend(of_certificates(sources, config.by_acme(), |reloader| {
                Ok(reloader
                    .insisting_on_calls()?
                    .handle()
                    .contexts()
                    .warnings(&federation.infra, surroundings.clock.now()))
            })?);
        }
    }
    Ok(warnings)
}

/// The same of a stand-alone federator: options, certificates, the policy's file and the log. Components are not asked.
///
/// # Errors
/// What would keep it from starting.
pub fn check_federator(config: &FederatorConfig) -> Result<Vec<String>, StartError> {
    let surroundings = Surroundings::default();
    logging::check(&config.log)?;
    federator_node::components(&config.components)?;
    if let Some(file) = &config.policy.file {
        FilePolicy::open(file)?;
    }
    let mut warnings = Vec::new();
    if config.domain.is_none() {
        warnings.push(
            "domain: not set; brig is asked for it at every start, and calls are 500 until it answers".to_owned(),
        );
    }
    if config.acme.is_some() {
        let cannot_write = |source| StartError::Data { folder: config.data.clone(), source };
        writable(&config.data).map_err(cannot_write)?;
    }
    let infra = config.inward.ingress.as_ref().map(|ingress| &ingress.infra);
    warnings.extend(of_certificates(federator_node::sources(config), config.by_acme(), |reloader| {
        Ok(own_federator::warnings(&reloader.insisting_on_calls()?, infra, surroundings.clock.as_ref()))
    })?);
    Ok(warnings)
}

/// What is worth knowing of the certificates, those of an ACME server as well, which may not be there yet.
fn of_certificates(
    sources: Sources,
    by_acme: Option<(&Acme, acme::Settings)>,
    look: impl FnOnce(Reloader) -> Result<Vec<Warning>, TlsError>,
) -> Result<Vec<String>, StartError> {
    let to_come = certified::check(by_acme)?;
    let reloader = match &to_come {
        // What is configured beside it is looked at all the same.
        Some(_) => Reloader::awaiting(sources, Awaited::stand_in()?)?,
        None => Reloader::load(sources)?,
    };
    let found = look(reloader)?;
    Ok(to_come.into_iter().chain(found.iter().map(ToString::to_string)).collect())
}

/// What is allowed, but dangerous, if anything is.
pub(crate) fn risk(config: &Config) -> Option<String> {
    match internal_target(config) {
        Target::Tcp(address) if !address.ip().is_loopback() => Some(format!(
            "internal.listen: {address} can be reached from other machines, and whoever reaches it can act as any user"
        )),
        Target::Tcp(_) | Target::Unix(_) => None,
    }
}

/// Whether that can be the path of a socket: the system takes only short ones.
pub(crate) fn socket_path(path: &Path) -> Result<(), StartError> {
    #[cfg(unix)]
    if let Err(error) = std::os::unix::net::SocketAddr::from_pathname(path) {
        return Err(StartError::Socket { path: path.to_owned(), problem: error.to_string() });
    }
    let _ = path;
    Ok(())
}

/// Whether files can be made in a folder, or, where it is not there yet, in the one that it would be made in.
fn writable(folder: &Path) -> io::Result<()> {
    let there = folder.ancestors().find(|ancestor| fs::symlink_metadata(ancestor).is_ok());
    let there = there.filter(|ancestor| !ancestor.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = there.join(format!(".ferrule-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::config::Bind;

    #[test]
    fn only_addresses_of_this_machine_are_harmless() {
        let mut config = Config::for_domain("a.example".parse().unwrap());
        assert_eq!(risk(&config), None, "a socket");
        for (listen, risky) in [("127.0.0.1:80", false), ("[::1]:80", false), ("0.0.0.0:80", true), ("[::]:80", true)] {
            config.internal.listen = Bind::Tcp(listen.parse::<SocketAddr>().unwrap());
            assert_eq!(risk(&config).is_some(), risky, "{listen}");
        }
    }

    #[test]
    fn a_folder_is_tried_where_it_is_or_would_be() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        writable(place.path()).unwrap();
        writable(&place.path().join("to/be/made")).unwrap();
        assert!(writable(&file.join("below")).is_err());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing stays behind");
    }
}
