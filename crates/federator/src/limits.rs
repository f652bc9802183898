//! Every limit of federation, named once. The defaults are the documented ones (`docs/limits.md`); the program that runs
//! a node may change each.

mod bodies;
mod process;

use std::time::Duration;

pub use self::{
    bodies::{BodyLimits, MemoryLimits, NO_ROOM_RETRY_AFTER, UnheardLimits},
    process::{
        BrigPolicyLimits, ComponentLimits, ForwardedLimits, HEADER_BYTES, OutsideLimits, OutwardLimits,
        POLICY_FILE_BYTES,
    },
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// All limits of the federator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Looking up remotes.
    pub dns: DnsLimits,
    /// Handing calls of remotes to components.
    pub inbound: InboundLimits,
    /// The listener that remotes call.
    pub ingress: IngressLimits,
    /// Counting calls.
    pub metrics: MetricsLimits,
    /// Calling remotes.
    pub outbound: OutboundLimits,
}

/// Limits of discovery. What cannot be learnt within them is 400 `discovery-failure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsLimits {
    /// How often one question is asked before giving up.
    pub tries: u32,
    /// How long each try may take.
    pub try_timeout: Duration,
    /// Longest time for which the absence of a record is remembered, however long its SOA record allows.
    pub negative_ttl: Duration,
    /// How many domains are remembered at most.
    pub cached_domains: usize,
    /// How many origins that callers claim are looked up at the same time at most; beyond it 503
    /// `service-unavailable`.
    pub lookups_inward: usize,
    /// How many domains are looked up at the same time at most in order to call them; beyond it 503 `federation-busy`.
    pub lookups_outward: usize,
    /// How many targets of one domain are remembered at most; the origin's certificate may carry any of them.
    pub targets_kept: usize,
    /// How many addresses of one host are used at most.
    pub addresses: usize,
    /// How long the first family's addresses wait for those of the other (RFC 8305 §3).
    pub resolution_delay: Duration,
}

impl Default for DnsLimits {
    fn default() -> Self {
        Self {
            tries: 3,
            try_timeout: Duration::from_secs(3),
            negative_ttl: Duration::from_secs(60),
            cached_domains: 10_000,
            lookups_inward: 256,
            lookups_outward: 256,
            targets_kept: 128,
            addresses: 8,
            resolution_delay: Duration::from_millis(50),
        }
    }
}

/// Limits of calls to remotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundLimits {
    /// TCP connect to one address; beyond it 521 `federation-connection-refused`.
    pub connect: Duration,
    /// Looking up the addresses of all targets of a remote and TCP connect to them, together; beyond it 521
    /// `federation-connection-refused`, or 400 `discovery-failure` where it ended a look-up. It stands still during
    /// handshakes.
    pub connect_all: Duration,
    /// How long one address has the lead before the next one is tried beside it (RFC 8305 §5).
    pub connect_stagger: Duration,
    /// TLS handshake with one target; beyond it 525 `federation-tls-error`.
    pub handshake: Duration,
    /// From the request to the head of the answer; beyond it 533 `federation-http2-error`.
    pub answer_head: Duration,
    /// Silence within the body of an answer; beyond it the stream is reset towards the caller.
    pub answer_idle: Duration,
    /// Size in bytes of a remote's header list.
    pub header_bytes: u32,
    /// How many bytes of a remote's error are read; the rest is cut.
    pub error_body: usize,
    /// How long a remote's error may take to arrive; what came until then counts.
    pub error_body_time: Duration,
    /// How many calls may wait for one remote; beyond it 503 `federation-busy`.
    pub waiting_calls: usize,
    /// What a caller is told to wait when too many calls wait.
    pub busy_retry_after: Duration,
    /// How many targets one call tries.
    pub targets_tried: usize,
    /// How many remotes are remembered at most, with their connections and breakers.
    pub remotes: usize,
    /// How many connections to one remote are open at most; further calls queue on them.
    pub connections: usize,
    /// How many calls share a connection before another one is opened.
    pub streams: usize,
    /// Flow-control window in bytes of one stream: what a slow caller lets the remote send ahead.
    pub stream_window: u32,
    /// How long an unused connection stays open.
    pub idle: Duration,
    /// Age beyond which a connection takes no new calls, so that changed records and certificates come to count.
    pub connection_age: Duration,
    /// Pause between HTTP/2 pings.
    pub ping_interval: Duration,
    /// How long a ping may stay unanswered before the connection counts as dead.
    pub ping_timeout: Duration,
    /// The circuit breaker of a remote.
    pub breaker: BreakerLimits,
}

impl Default for OutboundLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            connect_all: Duration::from_secs(10),
            connect_stagger: Duration::from_millis(250),
            handshake: Duration::from_secs(5),
            answer_head: Duration::from_secs(10),
            answer_idle: Duration::from_secs(30),
            header_bytes: 64 * KIB as u32,
            error_body: MIB,
            error_body_time: Duration::from_secs(10),
            waiting_calls: 1024,
            busy_retry_after: Duration::from_secs(1),
            targets_tried: 16,
            remotes: 10_000,
            connections: 4,
            streams: 100,
            stream_window: 256 * KIB as u32,
            idle: Duration::from_secs(90),
            connection_age: Duration::from_secs(3600),
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(5),
            breaker: BreakerLimits::default(),
        }
    }
}

/// Limits of a circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// How many failures in a row open it.
    pub failures: u32,
    /// How long it stays open the first time; doubled after each probe that fails.
    pub first_pause: Duration,
    /// Longest time for which it stays open between two probes.
    pub longest_pause: Duration,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self { failures: 5, first_pause: Duration::from_millis(500), longest_pause: Duration::from_secs(30) }
    }
}

/// Limits of the listener that remotes call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressLimits {
    /// TLS handshake; beyond it the connection is closed.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its headers; beyond it 408. A new connection must have
    /// brought its first request within the same time, counted from the handshake.
    /// On HTTP/2 an unfinished header block belongs to no stream that could be answered: the connection is closed.
    pub headers: Duration,
    /// Silence within the body of a request; beyond it 408.
    pub body_idle: Duration,
    /// From the end of the headers to the end of the body, however steadily it trickles; beyond it 408.
    pub body_total: Duration,
    /// Size in bytes of a request's headers; beyond it 431.
    pub header_bytes: usize,
    /// Size in bytes of a request's body, unless the RPC says more; beyond it 413.
    pub body_bytes: usize,
    /// How much of bodies is held at a time, of calls that are let in; each address (of IPv6: one /64) has its share. Beyond
    /// it a request waits for room.
    pub body_memory: MemoryLimits,
    /// How long the peer may take no byte of an answer; beyond it the connection is closed.
    pub answer_idle: Duration,
    /// How long a connection without a request stays open.
    pub idle: Duration,
    /// Age beyond which a connection takes no new requests, so that the peer comes back and is judged anew.
    pub connection_age: Duration,
    /// How long a connection that takes no new requests may go on with those that were begun; beyond it the connection
    /// is closed.
    pub winding: Duration,
    /// Pause between HTTP/2 pings.
    pub ping_interval: Duration,
    /// How long a ping may stay unanswered before the connection counts as dead. On a connection that was used before,
    /// this and the pause are also what ends one that stops amid a header block.
    pub ping_timeout: Duration,
    /// How much of the body of a request is read and forgotten that is refused by its head alone.
    pub discarded_bytes: usize,
    /// How long that may take; then the answer goes out before the body is whole.
    pub discarding: Duration,
    /// How long a connection that we end may take to read our last words; also how long after a refusal we begin to end
    /// it (HTTP/2).
    pub linger: Duration,
    /// How long requests that are being answered may take once a shutdown was asked for.
    pub drain: Duration,
    /// How many connections are open at a time; more wait in the operating system's queue.
    pub connections: usize,
    /// How many of them may come from one address (of IPv6: one /64); more are closed at once.
    pub connections_per_address: usize,
    /// How many requests one HTTP/2 connection has open at a time; more are refused.
    pub streams: u32,
    /// How many requests may be reset before they were looked at; beyond it the connection is ended.
    pub pending_resets: usize,
    /// How many requests may be abandoned by the peer, less those that were answered; beyond it the connection is
    /// ended. Also how many may be reset by us for breaking the protocol.
    pub abandoned: usize,
    /// Flow-control window in bytes of one HTTP/2 stream.
    pub stream_window: u32,
    /// Flow-control window in bytes of one HTTP/2 connection.
    pub connection_window: u32,
}

impl Default for IngressLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            body_idle: Duration::from_secs(10),
            body_total: Duration::from_secs(120),
            header_bytes: 64 * KIB,
            body_bytes: MIB,
            body_memory: MemoryLimits::default(),
            answer_idle: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            connection_age: Duration::from_secs(3600),
            winding: Duration::from_secs(600),
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(5),
            discarded_bytes: 64 * KIB,
            discarding: Duration::from_secs(1),
            linger: Duration::from_secs(2),
            drain: Duration::from_secs(10),
            connections: 8192,
            connections_per_address: 1024,
            streams: 100,
            pending_resets: 20,
            abandoned: 100,
            stream_window: 256 * KIB as u32,
            connection_window: MIB as u32,
        }
    }
}

impl IngressLimits {
    /// Those of one connection.
    pub(crate) fn connections(&self) -> listening::Limits {
        listening::Limits {
            headers: self.headers,
            idle: self.idle,
            answer_idle: self.answer_idle,
            linger: self.linger,
            winding: Some(self.winding),
            age: Some(self.connection_age),
            abandoned: Some(self.abandoned),
        }
    }

    /// Those of bodies.
    pub(crate) fn bodies(&self) -> BodyLimits {
        BodyLimits {
            bytes: self.body_bytes,
            idle: self.body_idle,
            total: self.body_total,
            memory: self.body_memory,
            discarded_bytes: self.discarded_bytes,
            discarding: self.discarding,
        }
    }
}

/// Limits of counting calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsLimits {
    /// How many domains have a counter of their own, in each direction; beyond it calls are counted together.
    pub domains: usize,
}

impl Default for MetricsLimits {
    fn default() -> Self {
        Self { domains: 1000 }
    }
}

/// Limits of handing a remote's call to a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundLimits {
    /// How long a component may take to the head of its answer; beyond it 500 `server-error`.
    pub component: Duration,
    /// Longest request id in bytes that is taken over from a remote; a longer one is replaced.
    pub request_id_bytes: usize,
}

impl Default for InboundLimits {
    fn default() -> Self {
        Self { component: Duration::from_secs(10), request_id_bytes: 128 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that `docs/limits.md` promises.
    #[test]
    fn the_documented_deadlines_of_calls_to_remotes() {
        let (limits, dns) = (OutboundLimits::default(), DnsLimits::default());
        let seconds = |times: &[Duration]| times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
        assert_eq!(seconds(&[limits.connect, limits.connect_all, limits.handshake]), [5.0, 10.0, 5.0]);
        assert_eq!(seconds(&[limits.answer_head, limits.answer_idle]), [10.0, 30.0]);
        assert_eq!((limits.waiting_calls, limits.error_body), (1024, 1024 * 1024));
        assert_eq!((dns.tries, seconds(&[dns.try_timeout, dns.negative_ttl])), (3, vec![3.0, 60.0]));
    }
}
