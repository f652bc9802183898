//! What connections are made with at this moment.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::watch;

use crate::{Identity, Roots, TlsError, acceptor, connector};

/// One consistent set of key material with the settings made of it.
#[derive(Clone, Debug)]
pub struct Contexts {
    /// Counts up with every replacement; connections of an older generation should not be reused.
    pub generation: u64,
    /// For connections from other backends.
    pub acceptor: Arc<ServerConfig>,
    /// For connections to other backends.
    pub connector: Arc<ClientConfig>,
    /// Whom both trust.
    pub roots: Arc<Roots>,
    /// The certificate shown to callers.
    pub server: Identity,
    /// The certificate shown to those we call.
    pub client: Identity,
}

impl Contexts {
    /// Makes the settings.
    ///
    /// # Errors
    /// [`TlsError::Configuration`] when the library refuses them.
    pub fn new(generation: u64, server: Identity, client: Identity, roots: Roots) -> Result<Self, TlsError> {
        let roots = Arc::new(roots);
        Ok(Self {
            generation,
            acceptor: acceptor(&server)?,
            connector: connector(&client, &roots)?,
            roots,
            server,
            client,
        })
    }
}

/// Hands out the [`Contexts`] of this moment; clones share them.
#[derive(Clone)]
pub struct ContextsHandle(Arc<Shared>);

struct Shared {
    current: ArcSwap<Contexts>,
    generation: watch::Sender<u64>,
}

impl ContextsHandle {
    /// Starts with these.
    pub fn new(contexts: Contexts) -> Self {
        let generation = watch::Sender::new(contexts.generation);
        Self(Arc::new(Shared { current: ArcSwap::from_pointee(contexts), generation }))
    }

    /// The contexts now. Ask for each connection.
    pub fn contexts(&self) -> Arc<Contexts> {
        self.0.current.load_full()
    }

    /// Replaces them. Connections that stand are not touched.
    pub fn replace(&self, contexts: Contexts) {
        let generation = contexts.generation;
        self.0.current.store(Arc::new(contexts));
        self.0.generation.send_replace(generation);
    }

    /// Tells of every new generation.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.generation.subscribe()
    }
}

impl fmt::Debug for ContextsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContextsHandle").field(&self.contexts().generation).finish()
    }
}
