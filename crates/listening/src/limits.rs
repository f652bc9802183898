//! For how long a connection may do what.

use std::time::Duration;

/// For how long after the wish to stop a connection that is idle may still bring a request, which is answered as its last.
/// A client that has sent one, or is about to, learns of the end by an answer, and not by a connection that closes.
pub const LAST_REQUEST: Duration = Duration::from_secs(1);

/// How many connections wait in the queue of a listener at most: as many as the library gives to each.
pub const BACKLOG: u32 = 1024;

/// Beyond any of these a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a request to the end of its headers. A new connection must have brought its first request
    /// within the same time.
    pub headers: Duration,
    /// Without a request.
    pub idle: Duration,
    /// In which the peer takes nothing of an answer.
    pub answer_idle: Duration,
    /// For a connection that takes no new requests and has none, and for its peer to read the last words; also from a
    /// refusal to the beginning of the end.
    pub linger: Duration,
    /// For the requests of a connection that takes no new ones; `None` where somebody else ends it.
    pub winding: Option<Duration>,
    /// From a connection's beginning until it takes no new requests.
    pub age: Option<Duration>,
    /// How many requests may be abandoned by the peer, less those that were answered.
    pub abandoned: Option<usize>,
}
