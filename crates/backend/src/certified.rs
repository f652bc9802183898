//! Certificates from an ACME server, while a node starts and runs.

use std::sync::Arc;

use acme::{AcmeError, Challenges, Keeper, Parts};
use prometheus::Registry;

use crate::{
    config::Config,
    node::{StartError, Surroundings, bind},
    running::Running,
};

/// Answers challenges from now on, and comes back once there is a certificate; renews it until stopped. Does nothing where
/// certificates come from elsewhere.
pub(crate) async fn obtain(
    config: &Config,
    surroundings: &Surroundings,
    metrics: &Registry,
    running: &Running,
) -> Result<(), StartError> {
    let Some((options, federation)) = config.certified_by_acme() else { return Ok(()) };
    let challenges = Challenges::default();
    let listener = bind("acme.http_listen", options.http_listen).await?;
    running.listen(listener, challenges.router());
    let keeper = Keeper::new(Parts {
        settings: options.settings(federation, &config.data),
        challenges,
        clock: Arc::clone(&surroundings.clock),
        rng: Arc::clone(&surroundings.rng),
    })?;
    keeper.register_metrics(metrics);
    keeper.ensure().await?;
    running.until_stopped(async move { keeper.renew().await });
    Ok(())
}

/// Whether the certificate that is kept, if one is, can be used as it is configured. Gives what is worth knowing.
pub(crate) fn check(config: &Config) -> Result<Option<String>, AcmeError> {
    let Some((options, federation)) = config.certified_by_acme() else { return Ok(None) };
    let settings = options.settings(federation, &config.data);
    if settings.certificate().exists() {
        return acme::check_kept(&settings).map(|()| None);
    }
    Ok(Some(format!(
        "acme: there is no certificate yet; the first start asks {} for one, and must be reached by port 80 of {}",
        settings.directory,
        settings.all_names().join(", ")
    )))
}
