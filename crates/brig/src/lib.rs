//! Accounts, sessions, profiles and search.
//!
//! [`Brig`] answers clients and the internal listener ([`Brig::served`]) and other backends
//! ([`Brig::federation_component`]). What it decides stands in [`rules`] as plain functions; what it stores stands in
//! [`tables`]; the rest carries decisions out. The federation policy is a part of its own, [`PolicyStore`], because
//! the federator needs it before there is a brig that needs the federator.

mod account;
mod accounts;
mod claims;
mod directory;
mod failures;
mod hash_budget;
pub mod limits;
mod outlive;
pub mod password;
mod policy;
mod remote;
mod routes;
pub mod rules;
mod sessions;
mod settings;
pub mod tables;
mod trouble;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::RpcInfo;
use http::{Request, Response};
use services::{Federation, FederationComponent, PolicySource};
use store::Store;
use types::{Clock, Domain, FederationPolicy, Rng};
use web::{RpcRoutes, Served, Trusting};
use zauth::Keyring;

pub use account::Account;
pub use accounts::ActivationCode;
pub use policy::{PolicyError, PolicyStore, RemoteRow};
pub use settings::BrigSettings;
pub use trouble::Trouble;

pub use crate::claims::{NamesEmail, NamesHandle};
use crate::{hash_budget::HashBudget, password::PasswordPool};

/// What a brig is made of.
pub struct BrigParts {
    /// Where everything is kept.
    pub store: Store,
    /// What the operator has set.
    pub settings: BrigSettings,
    /// The way to other backends.
    pub federation: Arc<dyn Federation>,
    /// Whom this backend federates with, loaded from the same store with the same settings.
    pub policy: Arc<PolicyStore>,
    /// The keys of tokens.
    pub keys: Keyring,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness; of the operating system unless in tests.
    pub rng: Arc<dyn Rng>,
}

/// The component. Cheap to clone.
#[derive(Clone)]
pub struct Brig(Arc<Inner>);

struct Inner {
    parts: BrigParts,
    passwords: PasswordPool,
    hash_budget: HashBudget,
}

impl Brig {
    /// Puts it together.
    pub fn new(parts: BrigParts) -> Self {
        let settings = &parts.settings;
        let passwords = PasswordPool::new(
            settings.password_hashing,
            settings.password_hashing_parallel,
            settings.password_hashing_queue,
            Arc::clone(&parts.rng),
        );
        let hash_budget = HashBudget::new(settings.password_hashing_user_limit, Arc::clone(&parts.clock));
        Self(Arc::new(Inner { parts, passwords, hash_budget }))
    }

    /// What it answers to clients and on the internal listener, to be joined with what other components answer.
    pub fn served(&self) -> Served {
        routes::served(self.clone())
    }

    /// The same as a router of its own that believes the headers it gets (`Z-User`): for the internal listener and
    /// tests.
    pub fn router(&self) -> axum::Router {
        self.served().router(Arc::new(Trusting), Arc::clone(&self.0.parts.rng))
    }

    /// What it answers to other backends.
    pub fn federation_component(&self) -> Arc<dyn FederationComponent> {
        Arc::new(Component { rpcs: routes::rpcs(), brig: self.clone() })
    }

    /// Whom this backend federates with.
    pub fn policy_source(&self) -> Arc<dyn PolicySource> {
        Arc::<PolicyStore>::clone(&self.0.parts.policy)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.parts.store
    }

    pub(crate) fn settings(&self) -> &BrigSettings {
        &self.0.parts.settings
    }

    pub(crate) fn domain(&self) -> &Domain {
        &self.0.parts.settings.federation_domain
    }

    pub(crate) fn federation(&self) -> &Arc<dyn Federation> {
        &self.0.parts.federation
    }

    pub(crate) fn remotes(&self) -> &Arc<PolicyStore> {
        &self.0.parts.policy
    }

    pub(crate) fn policy(&self) -> Arc<FederationPolicy> {
        self.0.parts.policy.policy()
    }

    pub(crate) fn keys(&self) -> &Keyring {
        &self.0.parts.keys
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.parts.clock
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.0.parts.rng
    }

    pub(crate) fn passwords(&self) -> &PasswordPool {
        &self.0.passwords
    }

    pub(crate) fn hash_budget(&self) -> &HashBudget {
        &self.0.hash_budget
    }
}

/// The RPCs that a brig answers.
pub fn rpcs() -> Vec<RpcInfo> {
    routes::rpcs().rpcs().copied().collect()
}

struct Component {
    rpcs: RpcRoutes<Brig>,
    brig: Brig,
}

#[async_trait]
impl FederationComponent for Component {
    async fn handle(&self, request: Request<Bytes>) -> Response<services::Body> {
        self.rpcs.handle(&self.brig, request).await
    }
}
