//! One order at an ACME server, from the names to the chain.

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use tls::issue::{KeyType, PrivateKey, Usage};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::{AcmeError, Challenges, Settings, challenges::Open, error::failed, limits};

/// What was issued.
pub(crate) struct Obtained {
    /// The chain, leaf first, as PEM.
    pub(crate) chain: String,
    /// Its key as PEM.
    pub(crate) key: Zeroizing<String>,
}

/// Orders a certificate for a new key, on P-256 as every backend takes it.
pub(crate) async fn obtain(
    settings: &Settings,
    account: &Account,
    challenges: &Challenges,
) -> Result<Obtained, AcmeError> {
    let whole = timeout(limits::WHOLE, ordered(settings, account, challenges)).await;
    whole.unwrap_or_else(|_| Err(AcmeError::TooSlow { directory: settings.directory.clone(), within: limits::WHOLE }))
}

async fn ordered(settings: &Settings, account: &Account, challenges: &Challenges) -> Result<Obtained, AcmeError> {
    let names = settings.all_names();
    let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
    let order = account.new_order(&NewOrder::new(&identifiers)).await;
    let mut order = order.map_err(failed(settings, "ordering"))?;
    let open = answer(settings, &mut order, challenges).await?;
    let patience = RetryPolicy::default().timeout(limits::ORDER);
    let status = order.poll_ready(&patience).await.map_err(failed(settings, "waiting for the challenges"))?;
    if !matches!(status, OrderStatus::Ready | OrderStatus::Valid) {
        return Err(unconvinced(settings, &mut order).await);
    }
    drop(open);
    let key = PrivateKey::generate(KeyType::EcdsaP256)?;
    // The usages are the CA's to decide, and it is looked at what it decided.
    let request = key.request(&names, Usage::Unrestricted)?;
    order.finalize_csr(request.der()).await.map_err(failed(settings, "asking for the certificate"))?;
    let chain = order.poll_certificate(&patience).await.map_err(failed(settings, "waiting for the certificate"))?;
    Ok(Obtained { chain, key: key.to_pem() })
}

/// Answers every challenge that is open, for as long as the result lives.
async fn answer(settings: &Settings, order: &mut Order, challenges: &Challenges) -> Result<Vec<Open>, AcmeError> {
    let mut open = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(failed(settings, "asking for the challenges"))?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::Http01) else {
            return Err(AcmeError::NoChallenge { directory: settings.directory.clone(), name });
        };
        let answer = challenge.key_authorization().as_str().to_owned();
        let Some(answered) = challenges.open(challenge.token.clone(), answer) else {
            return Err(failed(settings, "answering the challenges")(Error::Str("too many names")));
        };
        open.push(answered);
        challenge.set_ready().await.map_err(failed(settings, "answering the challenges"))?;
    }
    Ok(open)
}

/// Which name the server was not convinced of, and why.
async fn unconvinced(settings: &Settings, order: &mut Order) -> AcmeError {
    let directory = settings.directory.clone();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return AcmeError::Challenge { directory, name, problem: problem.to_string() };
        }
    }
    AcmeError::Server { directory, doing: "waiting for the challenges", problem: "the order has become invalid".into() }
}
