//! What was seen, without any opinion on it: files, name servers, listeners, partners.

pub(crate) mod listener;
pub(crate) mod local;
pub(crate) mod material;
pub(crate) mod partner;
pub(crate) mod probe;
pub(crate) mod processes;
pub(crate) mod service;
pub(crate) mod site;
mod witness;
pub(crate) mod zone;
