//! Calls as Ferrule's components make them.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use federation_api::{Component, RpcName, brig::GetUserByHandle};
use federator::{
    Federator, Parts,
    discovery::{Discovery, DnsServer, NameServerResolver},
    limits::Limits,
};
use services::{CallContext, ClientLimits, Federation, FederationClient, FederationError, FixedPolicy, NoObserver};
use tls::{Contexts, ContextsHandle, Role, Roots};
use types::{Domain, FederationPolicy, FederationStrategy, SystemClock, SystemRng};

use super::CallerPlan;
use crate::ground::CALLER;

/// A client of other backends over a federator with the limits of the product.
#[derive(Clone)]
pub struct Ferrule(Arc<FederationClient>);

impl Ferrule {
    /// One that knows nobody yet.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(plan: &CallerPlan) -> Result<Self> {
        let limits = Limits::default();
        let clock = Arc::new(SystemClock);
        let roots = Roots::from_pem("(bench)", &std::fs::read(&plan.own.ca)?)?;
        let contexts = Contexts::new(1, plan.own.identity(Role::Server)?, plan.own.identity(Role::Client)?, roots)?;
        let resolver = NameServerResolver::new(DnsServer::At(plan.dns), limits.dns.try_timeout)?;
        let own_domain: Domain = CALLER.parse()?;
        let policy = FederationPolicy { strategy: FederationStrategy::AllowAll, ..FederationPolicy::default() };
        let federator = Federator::new(Parts {
            own_domain: own_domain.clone(),
            policy: Arc::new(FixedPolicy(Arc::new(policy))),
            discovery: Discovery::new(Arc::new(resolver), Arc::<SystemClock>::clone(&clock), limits.dns.clone()),
            client_tls: Arc::new(ContextsHandle::new(contexts)),
            limits,
            clock: Arc::<SystemClock>::clone(&clock),
            rng: Arc::new(SystemRng),
            observer: Arc::new(NoObserver),
        });
        let client = ClientLimits { answer_time: plan.answer_time, ..ClientLimits::default() };
        Ok(Self(Arc::new(FederationClient::new(own_domain, federator.outbound(), clock, client))))
    }

    /// A call as a component makes it: the version is known or asked for, then the call.
    ///
    /// # Errors
    /// It did not go well.
    pub async fn call(&self, remote: &Domain) -> Result<()> {
        Ok(self.try_call(remote).await?)
    }

    /// The same, with what went wrong.
    ///
    /// # Errors
    /// It did not go well.
    pub async fn try_call(&self, remote: &Domain) -> Result<(), FederationError> {
        let context = CallContext::new("bench");
        let version = self.0.version(&context, remote).await?;
        let rpc = (Component::Brig, RpcName::of::<GetUserByHandle>());
        self.0.call_bytes(&context, remote, rpc, version, Bytes::from_static(b"\"bob\"")).await?;
        Ok(())
    }
}
