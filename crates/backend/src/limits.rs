//! The limits of the listeners for clients and operators, in one place.

use std::time::Duration;

/// How many connections a listener serves at the same time; more wait in the kernel's queue.
pub const CONNECTIONS: usize = 20_000;

/// How many of them may come from one address (of IPv6: one /64); more are closed at once. Does not hold where proxies
/// stand in front, who bring everybody's requests, nor on a unix socket.
pub const CONNECTIONS_PER_ADDRESS: usize = 1024;

/// How long accepting pauses when the process is out of file descriptors.
pub const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// How many requests of one HTTP/2 connection are answered at the same time.
pub const STREAMS: u32 = 250;

/// The same where only components of the own backend connect: each brings all of its calls on one connection, and those
/// to slow remotes must leave room for the others. More than `OutsideLimits::calls`.
pub const COMPONENT_STREAMS: u32 = 10_000;

/// How long the headers of an HTTP/2 request may be, as RFC 9113 §6.5.2 counts them: what the library has by itself.
pub const HEADERS: u32 = 16 * 1024;

/// The same where a proxy brings the certificate of a peer in a header, which may be 32 KiB
/// (`federator::limits::ForwardedLimits::certificate_bytes`): as much as the ingress takes.
pub const HEADERS_WITH_CERTIFICATE: u32 = 64 * 1024;

/// How many bytes of the body of an HTTP/2 request may come before they are read.
pub const STREAM_WINDOW: u32 = 256 * 1024;

/// The same for all requests of a connection.
pub const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How many connections to the federation listener may wait to be accepted once it listens, where that was later than the
/// start.
pub use listening::BACKLOG;

/// How many spans may wait to be sent to the collector of traces; more are lost, and counted.
pub const SPANS_WAITING: usize = 8192;

/// How many spans one message to the collector carries.
pub const SPANS_SENT: usize = 512;

/// How long a span waits for others to go with it.
pub const SPANS_GATHERED: Duration = Duration::from_secs(1);

/// How long a connection to one of several addresses of a name may take, before the next one is tried.
pub const CONNECT_EACH: Duration = Duration::from_secs(3);

/// How long a federator waits for brig's word on whom to deal with, and on its domain where none is configured, before it
/// serves without.
pub const FIRST_WORD: Duration = Duration::from_secs(1);

/// How long brig may take to say of which domain it is, with the look-up of its name; then it is asked anew, as it may have
/// another address by now.
pub const BRIG_ANSWERS: Duration = Duration::from_secs(5);

/// How long to wait before brig is asked again for the domain that it is of.
pub const BRIG_IS_AWAY: Duration = Duration::from_secs(1);

/// How long the collector may take for a message.
pub const EXPORT: Duration = Duration::from_secs(10);

/// The pauses before a message is sent again that the collector did not take; after the last of them it is lost.
pub const EXPORT_PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// How long the last spans may take when the process ends.
pub const EXPORT_END: Duration = Duration::from_secs(2);

/// How long a connection may take, and its parts. Beyond any of these it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From the first byte of a request to the end of its headers. A new connection must have brought its first request
    /// within the same time, whichever protocol it chooses, and if it chooses none.
    pub headers: Duration,
    /// Without a request. Longer than proxies in front keep a connection for reuse (nginx: 60 s), so that it is they who
    /// end it: a request on a connection that is being closed is lost.
    pub idle: Duration,
    /// In which the client takes nothing of an answer.
    pub answer_idle: Duration,
    /// For the client to read the last words of a connection that was ended in good order.
    pub linger: Duration,
    /// From the announcement that an idle HTTP/2 connection ends to its end.
    pub winding: Duration,
    /// Pause between HTTP/2 pings.
    pub ping_interval: Duration,
    /// In which a ping stays unanswered.
    pub ping_timeout: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            answer_idle: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            winding: Duration::from_secs(10),
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(10),
        }
    }
}

impl Times {
    /// Those that one connection is held to. It may grow old, and may be left with requests for as long as they take.
    pub(crate) fn of_connections(&self) -> listening::Limits {
        listening::Limits {
            headers: self.headers,
            idle: self.idle,
            answer_idle: self.answer_idle,
            linger: self.winding,
            winding: None,
            age: None,
            abandoned: None,
        }
    }
}

/// What a supervisor is asked for besides `drain_delay` when the process ends: more than open requests, what is cut and the
/// last spans get together.
pub(crate) const ENDING: Duration = Duration::from_secs(30);
