//! rustls in one place: key material, trust anchors, reload, issuing.

pub mod names;
