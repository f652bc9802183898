//! A Wire client, as far as accounts and search go, and the operator who makes its account.

mod operator;

pub use operator::{Operator, remote};

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use types::{Domain, Qualified, UserId};

use crate::{
    Answer,
    http1::{Call, Place},
};

/// The version of the client API that is spoken.
const API: &str = "/v15";

/// A text that no other user of this test run has.
pub fn unique(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{what}{}x{number}", std::process::id())
}

/// An address of loopback that no other log-in of this test run comes from: backends count log-ins by address.
fn another_address() -> Ipv4Addr {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let [_, _, high, low] = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let run = (std::process::id() % 100) as u8;
    Ipv4Addr::new(127, 100 + run, high, low)
}

/// A user with an account.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub id: Qualified<UserId>,
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
}

/// A user who is logged in.
#[derive(Clone, Debug)]
pub struct Client {
    edge: Place,
    token: String,
    /// Who it is.
    pub user: User,
}

impl Client {
    /// Logs in.
    ///
    /// # Errors
    /// The backend does not answer, or refuses.
    pub async fn log_in(edge: &Place, user: &User) -> Result<Self> {
        let answer = Self::try_log_in(edge, user).await?;
        let token = answer.json()["access_token"].as_str().map(str::to_owned);
        let token = token.with_context(|| format!("no access token: {answer}"))?;
        Ok(Self { edge: edge.clone(), token, user: user.clone() })
    }

    /// What the backend answers to a log-in.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn try_log_in(edge: &Place, user: &User) -> Result<Answer> {
        let body = json!({"email": user.email, "password": user.password});
        Call::post(edge, &format!("{API}/login"), &body).from(another_address()).send().await
    }

    /// `GET` of a path behind the version.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        Call::get(&self.edge, &format!("{API}{path}")).bearer(&self.token).send().await
    }

    /// `POST` of JSON.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        Call::post(&self.edge, &format!("{API}{path}"), body).bearer(&self.token).send().await
    }

    /// `PUT` of JSON.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        Call::put(&self.edge, &format!("{API}{path}"), body).bearer(&self.token).send().await
    }

    /// Takes a handle.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn take_handle(&self, handle: &str) -> Result<Answer> {
        self.put("/self/handle", &json!({"handle": handle})).await
    }

    /// Searches users of a domain.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn search(&self, term: &str, domain: &Domain) -> Result<Answer> {
        self.get(&format!("/search/contacts?q={term}&domain={domain}")).await
    }

    /// Looks for the owner of a handle.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn by_handle(&self, handle: &str, domain: &Domain) -> Result<Answer> {
        // The endpoint ends with the second version.
        Call::get(&self.edge, &format!("/v1/users/by-handle/{domain}/{handle}")).bearer(&self.token).send().await
    }

    /// The profile of a user.
    ///
    /// # Errors
    /// The backend does not answer.
    pub async fn profile(&self, id: &Qualified<UserId>) -> Result<Answer> {
        self.get(&format!("/users/{}/{}", id.domain, id.id)).await
    }
}
