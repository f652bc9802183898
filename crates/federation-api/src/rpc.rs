//! What an RPC is.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::VersionRange;

/// The component that answers an RPC; the second segment of `/federation/{component}/{rpc}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// Accounts, clients, connections, search.
    Brig,
    /// Assets.
    Cargohold,
    /// Conversations and messages.
    Galley,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Brig, Self::Cargohold, Self::Galley];

    /// The name in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Brig => "brig",
            Self::Cargohold => "cargohold",
            Self::Galley => "galley",
        }
    }
}

/// The text names no component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such component")]
pub struct ComponentError;

impl FromStr for Component {
    type Err = ComponentError;

    fn from_str(text: &str) -> Result<Self, ComponentError> {
        Self::ALL.into_iter().find(|c| c.as_str() == text).ok_or(ComponentError)
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of an RPC as it stands in a path: one or more of `[0-9A-Za-z_-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RpcName(Cow<'static, str>);

impl RpcName {
    /// The name of a declared RPC.
    pub fn of<R: Rpc>() -> Self {
        Self(Cow::Borrowed(R::NAME))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is empty or has a character outside `[0-9A-Za-z_-]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an RPC name consists of 0-9, A-Z, a-z, '_' and '-'")]
pub struct RpcNameError;

impl FromStr for RpcName {
    type Err = RpcNameError;

    fn from_str(text: &str) -> Result<Self, RpcNameError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            return Err(RpcNameError);
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }
}

impl fmt::Display for RpcName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an RPC travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asked and answered while the caller waits.
    Call,
    /// Owed to the remote and delivered from the outbox, in order; the answer is `{}`.
    Notification,
    /// Answered with a raw byte stream; no version header, no negotiation.
    Stream,
}

/// The largest body in bytes of a request that says no more ([`Rpc::MAX_BODY`]).
pub const DEFAULT_MAX_BODY: usize = 1024 * 1024;

/// An RPC. Where the shape differs between versions there is one type per shape, with the same name and disjoint
/// version ranges.
pub trait Rpc: Send + Sync + 'static {
    /// The component that answers.
    const COMPONENT: Component;
    /// The last segment of the path.
    const NAME: &'static str;
    /// The versions in which this name has this shape.
    const VERSIONS: VersionRange;
    /// How it travels.
    const KIND: Kind;
    /// The largest body in bytes that a request may have.
    const MAX_BODY: usize = DEFAULT_MAX_BODY;
    /// What is asked.
    type Request: Serialize + DeserializeOwned + Send + Sync;
    /// What is answered.
    type Answer: Serialize + DeserializeOwned + Send + Sync;

    /// The declaration as data.
    const INFO: RpcInfo = RpcInfo {
        component: Self::COMPONENT,
        name: Self::NAME,
        versions: Self::VERSIONS,
        kind: Self::KIND,
        max_body: Self::MAX_BODY,
    };
}

/// The declaration of an RPC as data, for tables and routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcInfo {
    /// See [`Rpc::COMPONENT`].
    pub component: Component,
    /// See [`Rpc::NAME`].
    pub name: &'static str,
    /// See [`Rpc::VERSIONS`].
    pub versions: VersionRange,
    /// See [`Rpc::KIND`].
    pub kind: Kind,
    /// See [`Rpc::MAX_BODY`].
    pub max_body: usize,
}
