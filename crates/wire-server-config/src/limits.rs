//! What a document may cost. Real values files have some thousand lines; a document that needs more than this was made
//! to hurt.

/// The largest document, in bytes: certificates for every role and a whole CA bundle fit.
pub const DOCUMENT_BYTES: usize = 2 << 20;

/// How deep maps and lists may lie in each other.
pub const DEPTH: usize = 64;

/// Maps, lists and texts in one document, those that aliases repeat included.
pub const NODES: usize = 100_000;

/// Aliases (`*name`) in one document.
pub const ALIASES: usize = 1_000;

/// Files of values that are merged.
pub const FILES: usize = 64;

/// Domains in an allow list, as many as a backend's own list takes.
pub const ALLOWED_DOMAINS: usize = 10_000;

/// Options that are named one by one in a report as not used; behind them stands how many more there are.
pub const UNUSED_NAMED: usize = 200;
