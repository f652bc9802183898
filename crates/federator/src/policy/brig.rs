//! The policy of brig, asked for over HTTP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use public_api::remotes::FederationDomainConfigs;
use services::PolicySource;
use tokio::{
    sync::{Mutex, watch},
    time::{sleep, timeout},
};
use types::FederationPolicy;

use crate::{
    cause,
    http_client::{self, Address, AddressError, HttpClient},
    limits::BrigPolicyLimits,
};

/// Where brig says whom to deal with (`federation.md` §4.1).
const PATH: &str = "/i/federation/remotes";

/// What brig said last about whom to deal with: `GET /i/federation/remotes`, asked again after the time that its answer
/// names. When brig is away, what it said last goes on.
///
/// Before its first answer nothing is known: nobody is allowed, and calls are 500 `server-error`, as they are in
/// wire-server whenever brig is away, so that nobody takes it for a decision.
pub struct BrigPolicy {
    address: Address,
    client: HttpClient,
    limits: BrigPolicyLimits,
    current: ArcSwapOption<FederationPolicy>,
    /// One question at a time: an answer never takes the place of one to a later question.
    asking: Mutex<()>,
    /// Whether it was ever asked to the end, whatever came of it.
    asked: watch::Sender<bool>,
    /// Whether the log says that brig is away.
    away: AtomicBool,
}

/// Why brig told nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrigPolicyError {
    /// It cannot be reached, or broke off.
    #[error("cannot be asked: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("did not answer within {0:?}")]
    Silent(Duration),
    /// It answered with another status than 200.
    #[error("answered with status {0}")]
    Status(u16),
    /// It answered with something else.
    #[error("gave an answer that cannot be understood: {0}")]
    Answer(String),
}

impl BrigPolicy {
    /// The policy of brig at `host:port`. Nothing is asked yet.
    ///
    /// # Errors
    /// The text is no `host:port`.
    pub fn new(address: &str, limits: BrigPolicyLimits) -> Result<Self, AddressError> {
        // One question at a time, with long pauses: a connection that is kept would be closed by then.
        let client = http_client::client(limits.answer, |builder| {
            builder.pool_max_idle_per_host(0);
        });
        let address = Address::parse(address)?;
        Ok(Self {
            address,
            client,
            limits,
            current: ArcSwapOption::empty(),
            asking: Mutex::default(),
            asked: watch::Sender::new(false),
            away: AtomicBool::new(false),
        })
    }

    /// Asks now, and gives the time after which to ask again. The log says once that brig is away, and once that it is
    /// back.
    ///
    /// # Errors
    /// Why it told nothing; what it said before goes on.
    pub async fn refresh(&self) -> Result<Duration, BrigPolicyError> {
        let _asking = self.asking.lock().await;
        let asked = match timeout(self.limits.answer, self.ask()).await {
            Ok(asked) => asked.and_then(|answer| understood(&answer, &self.limits)),
            Err(_) => Err(BrigPolicyError::Silent(self.limits.answer)),
        };
        let was_away = self.away.swap(asked.is_err(), Ordering::Relaxed);
        match &asked {
            Ok((policy, _)) => {
                self.take_up(policy);
                if was_away {
                    tracing::info!(brig = %self.address, "brig says again which backends are allowed");
                }
            }
            Err(error) if !was_away => {
                let known = self.is_known();
                tracing::error!(brig = %self.address, %error, known, "brig does not say which backends are allowed");
            }
            Err(_) => {}
        }
        self.asked.send_replace(true);
        asked.map(|(_, pause)| pause)
    }

    /// Comes back once it was asked for the first time, whether or not it told anything.
    pub async fn first_word(&self) {
        // An error would be that the sender is gone, which is ours.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }

    /// Comes back once brig has told whom to deal with.
    pub async fn known(&self) {
        let mut told = self.asked.subscribe();
        while !self.is_known() && told.changed().await.is_ok() {}
    }

    /// Asks again and again, for ever.
    pub async fn keep_fresh(&self) {
        loop {
            let pause = self.refresh().await.unwrap_or(self.limits.retry);
            sleep(pause).await;
        }
    }

    fn take_up(&self, policy: &FederationPolicy) {
        if self.current.load().as_deref() != Some(policy) {
            tracing::info!(strategy = policy.strategy.as_str(), remotes = policy.remotes.len(), "a policy of brig's");
            self.current.store(Some(Arc::new(policy.clone())));
        }
    }

    async fn ask(&self) -> Result<Bytes, BrigPolicyError> {
        let request = Request::get(self.address.at(PATH)).body(Full::default()).unwrap_or_default();
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| BrigPolicyError::Unreachable(cause::chain(&error)))?;
        if answer.status() != http::StatusCode::OK {
            return Err(BrigPolicyError::Status(answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), self.limits.answer_bytes).collect().await;
        Ok(body.map_err(|error| BrigPolicyError::Answer(error.to_string()))?.to_bytes())
    }
}

impl PolicySource for BrigPolicy {
    fn policy(&self) -> Arc<FederationPolicy> {
        self.current.load_full().unwrap_or_default()
    }

    fn is_known(&self) -> bool {
        self.current.load().is_some()
    }
}

/// What an answer says: whom to deal with, and when to ask again.
fn understood(answer: &[u8], limits: &BrigPolicyLimits) -> Result<(FederationPolicy, Duration), BrigPolicyError> {
    let configs: FederationDomainConfigs =
        serde_json::from_slice(answer).map_err(|error| BrigPolicyError::Answer(error.to_string()))?;
    let pause = Duration::from_secs(configs.update_interval.into());
    Ok((configs.into(), pause.clamp(limits.shortest_pause, limits.longest_pause.max(limits.shortest_pause))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_of_wire_servers_brig() {
        let read = |interval: u32| {
            let answer = format!(
                r#"{{"strategy":"allowDynamic","update_interval":{interval},"remotes":[{{"domain":"b.example","search_policy":
                "full_search","restriction":{{"tag":"allow_all","value":null}},"of_tomorrow":1}}]}}"#
            );
            understood(answer.as_bytes(), &BrigPolicyLimits::default()).unwrap()
        };
        let (policy, pause) = read(10);
        assert!(policy.allows(&"b.example".parse().unwrap()) && !policy.allows(&"c.example".parse().unwrap()));
        assert_eq!(pause, Duration::from_secs(10));
        assert_eq!((read(0).1, read(u32::MAX).1), (Duration::from_secs(1), Duration::from_secs(300)));
    }

    proptest! {
        #[test]
        fn any_answer_is_read(answer in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(understood(&answer, &BrigPolicyLimits::default()).is_err());
        }
    }
}
