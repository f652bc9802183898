//! What brig asks other backends. What they answer is believed as far as it concerns their own users and no further.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use federation_api::{
    Rpc, SearchRequest, SearchResponse, UserProfile,
    brig::{GetUserByHandle, GetUsersByIds, SearchUsers},
};
use futures_util::{StreamExt as _, stream};
use services::{CallContext, Federation, FederationError, OutboundError};
use tokio::time::{Instant, timeout_at};
use types::{Domain, Handle, Qualified, UserId};

use crate::limits;

/// The profiles of users of one backend, each once. Those it does not know are missing.
pub(crate) async fn profiles(
    federation: &Arc<dyn Federation>,
    context: &CallContext,
    domain: &Domain,
    ids: &Vec<UserId>,
) -> Result<Vec<UserProfile>, FederationError> {
    let mut found = federation.call::<GetUsersByIds>(context, domain, ids).await?;
    let mut missing: HashSet<UserId> = ids.iter().copied().collect();
    found.retain(|profile| profile.qualified_id.domain == *domain && missing.remove(&profile.qualified_id.id));
    Ok(found)
}

/// The user of that handle, if there is one and the other backend lets us know.
pub(crate) async fn by_handle(
    federation: &Arc<dyn Federation>,
    context: &CallContext,
    domain: &Domain,
    handle: &Handle,
) -> Result<Option<UserProfile>, FederationError> {
    let found = federation.call::<GetUserByHandle>(context, domain, handle).await?;
    Ok(found.filter(|profile| profile.qualified_id.domain == *domain))
}

/// A search in another backend's directory: at most as many hits as a backend tells another one, each once.
pub(crate) async fn search(
    federation: &Arc<dyn Federation>,
    context: &CallContext,
    domain: &Domain,
    asked: &SearchRequest,
) -> Result<SearchResponse, FederationError> {
    let mut answer = federation.call::<SearchUsers>(context, domain, asked).await?;
    let mut seen = HashSet::new();
    answer.contacts.retain(|contact| {
        let Qualified { domain: theirs, id } = &contact.qualified_id;
        theirs == domain && seen.insert(*id)
    });
    answer.contacts.truncate(limits::REMOTE_SEARCH_RESULTS);
    Ok(answer)
}

/// Profiles from several backends.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Those that were found.
    pub(crate) found: Vec<UserProfile>,
    /// The users of the backends that did not answer.
    pub(crate) failed: Vec<Qualified<UserId>>,
    /// Why the first of them did not.
    pub(crate) error: Option<FederationError>,
}

/// How much is asked of other backends for one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long all of it may take.
    pub(crate) time: Duration,
    /// How many backends are asked.
    pub(crate) remotes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { time: limits::REMOTES_TIME, remotes: limits::REMOTES_PER_REQUEST }
    }
}

/// The profiles of users of any other backends, a call for each backend, some at the same time. One that does not
/// answer spoils nothing but its own part.
pub(crate) async fn profiles_of_many(
    federation: &Arc<dyn Federation>,
    context: &CallContext,
    ids: Vec<Qualified<UserId>>,
    bounds: Bounds,
) -> Gathered {
    let mut by_domain: BTreeMap<Domain, Vec<UserId>> = BTreeMap::new();
    for Qualified { domain, id } in ids {
        by_domain.entry(domain).or_default().push(id);
    }
    let deadline = Instant::now() + bounds.time;
    let calls = by_domain.into_iter().enumerate().map(|(at, (domain, ids))| async move {
        let fail = |kind: OutboundError| {
            let path = format!("/federation/{}", GetUsersByIds::NAME);
            Err(FederationError { kind: kind.into(), domain: domain.clone(), path })
        };
        let late = || fail(OutboundError::Http2("no answer came in time".to_owned()));
        let answer = if at >= bounds.remotes {
            // Not the remote's fault: so many are not asked at once.
            fail(OutboundError::Busy { retry_after: Duration::from_secs(1) })
        } else if Instant::now() >= deadline {
            late()
        } else {
            timeout_at(deadline, profiles(federation, context, &domain, &ids)).await.unwrap_or_else(|_| late())
        };
        (domain, ids, answer)
    });
    let answers = stream::iter(calls).buffered(limits::PARALLEL_REMOTES);
    let gathered = answers.fold(Gathered::default(), |mut gathered, (domain, ids, answer)| async move {
        match answer {
            Ok(found) => gathered.found.extend(found),
            Err(error) => {
                tracing::info!(%domain, %error, "profiles of another backend could not be had");
                gathered.failed.extend(ids.into_iter().map(|id| Qualified::new(id, domain.clone())));
                gathered.error.get_or_insert(error);
            }
        }
        gathered
    });
    gathered.await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use bytes::Bytes;
    use federation_api::{ApiVersion, Component, RpcName};
    use http::Response;
    use serde_json::{Value, json};
    use types::SearchPolicy;

    use super::*;

    /// Answers every call of `good.example` with the same JSON, and no call of another backend ever.
    struct Canned {
        own: Domain,
        answer: Value,
        asked: Mutex<Vec<Domain>>,
    }

    #[async_trait]
    impl Federation for Canned {
        fn own_domain(&self) -> &Domain {
            &self.own
        }

        fn enabled(&self) -> bool {
            true
        }

        async fn version(&self, _: &CallContext, _: &Domain) -> Result<ApiVersion, FederationError> {
            Ok(ApiVersion(3))
        }

        async fn call_bytes(
            &self,
            _: &CallContext,
            remote: &Domain,
            _: (Component, RpcName),
            _: ApiVersion,
            _: Bytes,
        ) -> Result<Bytes, FederationError> {
            self.asked.lock().unwrap().push(remote.clone());
            if remote.as_str() == "good.example" {
                return Ok(self.answer.to_string().into());
            }
            std::future::pending().await
        }

        async fn stream(
            &self,
            _: &CallContext,
            _: &Domain,
            _: (Component, RpcName),
            _: Bytes,
        ) -> Result<Response<services::Body>, FederationError> {
            unreachable!("brig streams nothing")
        }
    }

    fn canned(answer: Value) -> Arc<Canned> {
        Arc::new(Canned { own: domain("a.example"), answer, asked: Mutex::default() })
    }

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    fn id(n: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(n))
    }

    fn profile(n: u128, domain: &str) -> Value {
        json!({
            "qualified_id": {"domain": domain, "id": id(n)}, "id": id(n), "name": "Bob", "accent_id": 0,
            "legalhold_status": "no_consent",
        })
    }

    const PLENTY: Bounds = Bounds { time: Duration::from_secs(60), remotes: 100 };

    #[tokio::test]
    async fn a_remote_tells_of_each_user_once_and_only_of_those_that_were_asked_for() {
        let told = [(1, "good"), (1, "good"), (2, "good"), (3, "good"), (1, "other")];
        let told = told.map(|(n, name)| profile(n, &format!("{name}.example")));
        let federation: Arc<dyn Federation> = canned(json!(told));
        let asked = vec![id(1), id(1), id(2), id(4)];
        let found = profiles(&federation, &CallContext::new("r"), &domain("good.example"), &asked).await.unwrap();
        assert_eq!(found.iter().map(|profile| profile.qualified_id.id).collect::<Vec<_>>(), [id(1), id(2)]);
    }

    #[tokio::test]
    async fn a_remote_tells_of_as_many_hits_as_there_may_be() {
        let hit = |n: u128| {
            json!({"qualified_id": {"domain": "good.example", "id": id(n)}, "id": id(n), "name": "Bob",
            "accent_id": null, "handle": null, "team": null, "type": "regular"})
        };
        let hits: Vec<_> = [1, 1].into_iter().chain(2..100).map(hit).collect();
        let federation: Arc<dyn Federation> = canned(json!({"contacts": hits, "searchPolicy": "full_search"}));
        let asked = SearchRequest { term: "bob".to_owned(), from: None, only_in_teams: None, types: None };
        let found = search(&federation, &CallContext::new("r"), &domain("good.example"), &asked).await.unwrap();
        assert_eq!(found.search_policy, SearchPolicy::FullSearch);
        let found: Vec<_> = found.contacts.iter().map(|hit| hit.qualified_id.id).collect();
        assert_eq!(found, (1..=15).map(id).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_request_ends_although_a_remote_never_answers() {
        let federation: Arc<dyn Federation> = canned(json!([profile(1, "good.example")]));
        let silent: Vec<_> = (0..40).map(|n| Qualified::new(id(1), domain(&format!("silent{n}.example")))).collect();
        let asked = [vec![Qualified::new(id(1), domain("good.example"))], silent.clone()].concat();
        let bounds = Bounds { time: Duration::from_millis(50), ..PLENTY };
        let context = CallContext::new("r");
        let gathered = profiles_of_many(&federation, &context, asked, bounds);
        let gathered = tokio::time::timeout(Duration::from_secs(20), gathered).await.expect("it does not end");
        assert_eq!((gathered.found.len(), gathered.failed.len()), (1, silent.len()));
        assert_eq!(gathered.error.unwrap().to_failure().entry.label, "federation-http2-error");
    }

    #[tokio::test]
    async fn a_request_asks_so_many_remotes_and_no_more() {
        let federation = canned(json!([profile(1, "good.example")]));
        let face: Arc<dyn Federation> = Arc::<Canned>::clone(&federation);
        let names = ["good.example", "more.example", "other.example"];
        let asked = names.map(|name| Qualified::new(id(1), domain(name))).to_vec();
        let gathered = profiles_of_many(&face, &CallContext::new("r"), asked, Bounds { remotes: 1, ..PLENTY }).await;
        assert_eq!(*federation.asked.lock().unwrap(), [domain("good.example")]);
        assert_eq!(gathered.found.len(), 1);
        let failed = gathered.failed.iter().map(|id| id.domain.as_str()).collect::<Vec<_>>();
        assert_eq!(failed, ["more.example", "other.example"]);
        assert_eq!(gathered.error.unwrap().to_failure().entry.label, "federation-busy");
    }
}
