//! What an operator does through the internal listener.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use types::{Domain, Qualified};

use super::{Client, User, unique};
use crate::{
    Answer,
    http1::{Call, Place},
    process::Backend,
};

/// Somebody with access to the internal listener of a backend.
#[derive(Clone, Debug)]
pub struct Operator {
    domain: Domain,
    edge: Place,
    internal: Place,
}

impl Operator {
    /// Of that backend.
    ///
    /// # Errors
    /// Its listeners are not where this can reach them.
    pub fn of(backend: &Backend) -> Result<Self> {
        Ok(Self { domain: backend.domain.clone(), edge: backend.edge()?, internal: backend.brig()? })
    }

    /// The public edge of the backend.
    pub fn edge(&self) -> &Place {
        &self.edge
    }

    /// The internal listener.
    pub fn internal(&self) -> &Place {
        &self.internal
    }

    /// Makes an account that is active at once.
    ///
    /// # Errors
    /// The backend does not answer, or refuses.
    pub async fn create_user(&self, name: &str) -> Result<User> {
        let (email, password) = (format!("{}@mail.example", unique("user")), unique("password-"));
        let body = json!({"name": name, "email": email, "password": password});
        let answer = Call::post(&self.internal, "/i/users", &body).send().await?;
        let id = answer.json()["id"].as_str().and_then(|id| id.parse().ok());
        let id = id.with_context(|| format!("no user was made: {answer}"))?;
        Ok(User { id: Qualified { domain: self.domain.clone(), id }, email, password })
    }

    /// Makes an account and logs in.
    ///
    /// # Errors
    /// The backend does not answer, or refuses.
    pub async fn client(&self, name: &str) -> Result<Client> {
        Client::log_in(&self.edge, &self.create_user(name).await?).await
    }

    /// Makes an account with a handle and logs in. The handle begins with `handle` and is nobody else's.
    ///
    /// # Errors
    /// The backend does not answer, or refuses.
    pub async fn client_with_handle(&self, name: &str, handle: &str) -> Result<(Client, String)> {
        let client = self.client(name).await?;
        let handle = unique(handle);
        let answer = client.take_handle(&handle).await?;
        anyhow::ensure!(answer.status.is_success(), "the handle {handle} cannot be taken: {answer}");
        Ok((client, handle))
    }

    /// The strategy and all configured remotes.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn remotes(&self) -> Result<Answer> {
        Call::get(&self.internal, "/i/federation/remotes").send().await
    }

    /// What the backend has counted.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn metrics(&self) -> Result<Answer> {
        Call::get(&self.internal, "/i/metrics").send().await
    }

    /// Puts a backend on the allow list, or tries to.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn add_remote(&self, domain: &Domain, search_policy: &str) -> Result<Answer> {
        Call::post(&self.internal, "/i/federation/remotes", &remote(domain, search_policy)).send().await
    }

    /// Changes the entry of a backend, or tries to.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn update_remote(&self, domain: &Domain, body: &Value) -> Result<Answer> {
        Call::put(&self.internal, &format!("/i/federation/remotes/{domain}"), body).send().await
    }

    /// Allows a backend everything.
    ///
    /// # Errors
    /// The backend does not answer, or refuses.
    pub async fn allow(&self, domain: &Domain) -> Result<()> {
        let answer = self.add_remote(domain, "full_search").await?;
        anyhow::ensure!(answer.status.is_success(), "{domain} cannot be allowed: {answer}");
        Ok(())
    }
}

/// The entry of a remote without team restriction.
pub fn remote(domain: &Domain, search_policy: &str) -> Value {
    json!({"domain": domain, "search_policy": search_policy, "restriction": {"tag": "allow_all", "value": null}})
}
