//! Which version of the federation API each remote and we speak (`federation.md` §6.1).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use federation_api::{ApiVersion, Component, RpcName, VersionInfo, negotiate};
use futures_util::{
    FutureExt,
    future::{BoxFuture, WeakShared},
};
use types::{Clock, Domain};

use super::{ClientLimits, answer};
use crate::{CallContext, FederationErrorKind, Outbound, RpcCall};

type Asked = Result<ApiVersion, FederationErrorKind>;

/// The name of the RPC that is asked.
pub fn api_version() -> RpcName {
    RpcName::of::<federation_api::brig::ApiVersion>()
}

/// What is remembered about each remote.
pub struct Versions {
    outbound: Arc<dyn Outbound>,
    clock: Arc<dyn Clock>,
    limits: ClientLimits,
    remotes: Mutex<HashMap<Domain, Remote>>,
}

#[derive(Default)]
struct Remote {
    known: Option<(ApiVersion, Instant)>,
    /// The question under way. It lives in the callers that wait for it: when the last one gives up, it is gone.
    question: Option<WeakShared<BoxFuture<'static, Asked>>>,
}

impl Versions {
    pub fn new(outbound: Arc<dyn Outbound>, clock: Arc<dyn Clock>, limits: ClientLimits) -> Self {
        Self { outbound, clock, limits, remotes: Mutex::default() }
    }

    /// The highest version in common, remembered or asked for.
    pub async fn of(self: &Arc<Self>, context: &CallContext, remote: &Domain) -> Asked {
        let question = {
            let mut remotes = self.remotes();
            let now = self.clock.monotonic();
            self.make_room(&mut remotes, remote, now);
            let slot = remotes.entry(remote.clone()).or_default();
            match slot.known {
                Some((version, until)) if now < until => return Ok(version),
                _ => slot.known = None,
            }
            match slot.question.as_ref().and_then(WeakShared::upgrade) {
                Some(question) => question,
                None => {
                    let question = Arc::clone(self).ask(context.clone(), remote.clone()).boxed().shared();
                    slot.question = question.downgrade();
                    question
                }
            }
        };
        question.await
    }

    /// The remote behaved as if it did not speak that version. Forgets it, unless another one was agreed on since.
    pub fn doubt(&self, remote: &Domain, version: ApiVersion) {
        if let Some(slot) = self.remotes().get_mut(remote) {
            slot.known = slot.known.filter(|(known, _)| *known != version);
        }
    }

    async fn ask(self: Arc<Self>, context: CallContext, remote: Domain) -> Asked {
        let call = RpcCall {
            target: remote.clone(),
            component: Component::Brig,
            rpc: api_version(),
            version: None,
            body: Bytes::from_static(b"[]"),
            context,
        };
        let asked = answer::json(self.outbound.as_ref(), call, &self.limits).await;
        let agreed = asked.map_err(unusable).and_then(|body| {
            let info: VersionInfo =
                serde_json::from_slice(&body).map_err(|e| unusable(FederationErrorKind::InvalidBody(e.to_string())))?;
            negotiate(&info).map_err(|e| FederationErrorKind::Version(e.to_string()))
        });
        let until = self.clock.monotonic() + self.limits.version_ttl;
        if let Some(slot) = self.remotes().get_mut(&remote) {
            slot.question = None;
            slot.known = agreed.as_ref().ok().map(|version| (*version, until));
        }
        agreed
    }

    /// Keeps the number of remembered remotes bounded: what is out of date goes first, then everything that can be
    /// asked for again.
    fn make_room(&self, remotes: &mut HashMap<Domain, Remote>, wanted: &Domain, now: Instant) {
        if remotes.len() < self.limits.version_remotes || remotes.contains_key(wanted) {
            return;
        }
        let asking = |slot: &Remote| slot.question.as_ref().is_some_and(|q| q.upgrade().is_some());
        remotes.retain(|_, slot| asking(slot) || slot.known.is_some_and(|(_, until)| now < until));
        if remotes.len() >= self.limits.version_remotes {
            remotes.retain(|_, slot| asking(slot));
        }
    }

    fn remotes(&self) -> MutexGuard<'_, HashMap<Domain, Remote>> {
        self.remotes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that cannot be understood leaves no version in common; what kept it from coming keeps its own name.
fn unusable(kind: FederationErrorKind) -> FederationErrorKind {
    match kind {
        FederationErrorKind::InvalidBody(text)
        | FederationErrorKind::InvalidContentType(text)
        | FederationErrorKind::UnsupportedContentType(text) => {
            FederationErrorKind::Version(format!("the remote backend's list of versions is unusable: {text}"))
        }
        other => other,
    }
}
